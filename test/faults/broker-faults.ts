import { setTimeout as sleep } from 'node:timers/promises'
import type { ProxiedKafka } from '../setup/kafka/proxied-kafka.ts'
import { acks, deliver } from './network-faults.ts'
import type { Verdict } from './proxy.ts'
import type { Stage } from './stage.ts'

/** Plays a fault of one broker on all sinks to the broker. */
export type BrokerScript = (stages: Stage[], on: ProxiedKafka) => Promise<void>

/** Faults of a broker. */
export const brokerFaults: Record<string, BrokerScript> = {
  'kill -9 before an acknowledgement': async (stages, on) => {
    await deliverAll(stages, 1)
    let crash: Promise<void> | undefined
    const kill = (number: number): Verdict => {
      if (number === 0) crash = on.kafka.kill().then(on.kafka.restart).then(recordFaults(stages))
      return number === 0 ? 'cut' : 'pass'
    }
    on.proxy.judge({ responses: acks(stages[0]!, kill) })
    await deliverAll(stages, 3)
    await crash
    await deliverAll(stages, 1)
  },
  'a clean restart': async (stages, on) => {
    await deliverAll(stages, 1)
    let isUp = false
    const restarted = on.kafka
      .restart()
      .then(recordFaults(stages))
      .finally(() => {
        isUp = true
      })
    // The broker still responds until it is down. Each client goes on by itself: a client that
    // waits for the others would send nothing while the broker is down.
    const goOn = async (stage: Stage) => {
      while (!isUp) await Promise.all([deliverAll([stage], 1), sleep(20)])
    }
    await Promise.all(stages.map(goOn))
    await restarted
    await deliverAll(stages, 1)
  },
  'the broker hangs (SIGSTOP)': async (stages, on) => {
    await deliverAll(stages, 1)
    on.kafka.suspend()
    const resumed = sleep(3 * on.proxied.requestTimeoutMs)
      .then(on.kafka.resume)
      .then(recordFaults(stages))
    await deliverAll(stages, 3)
    await resumed
    await deliverAll(stages, 1)
  },
}

/** Delivers `batches` batches on every stage, all stages concurrently. */
export async function deliverAll(stages: Stage[], batches: number): Promise<void> {
  await Promise.all(stages.map(stage => deliver(stage, batches)))
}

/** Records for every stage that the fault has lasted until now. */
export const recordFaults = (stages: Stage[]) => () => {
  for (const stage of stages) stage.recordFault()
}
