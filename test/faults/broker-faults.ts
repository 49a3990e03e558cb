import { setTimeout as sleep } from 'node:timers/promises'
import type { ProxiedKafka } from '../setup/kafka/proxied-kafka.ts'
import { acks, deliver } from './network-faults.ts'
import type { Verdict } from './proxy.ts'
import type { Stage } from './stage.ts'

/** How one broker's fault is played on all who send to it. */
export type BrokerScript = (stages: Stage[], on: ProxiedKafka) => Promise<void>

/** What a broker does to producers. */
export const brokerFaults: Record<string, BrokerScript> = {
  'kill -9 before an acknowledgement': async (stages, on) => {
    await deliverAll(stages, 1)
    let crash: Promise<void> | undefined
    const kill = (number: number): Verdict => {
      if (number === 0) crash = on.kafka.kill().then(on.kafka.restart).then(over(stages))
      return number === 0 ? 'cut' : 'pass'
    }
    on.proxy.judge({ responses: acks(stages[0]!, kill) })
    await deliverAll(stages, 3)
    await crash
    await deliverAll(stages, 1)
  },
  'a restart in good order': async (stages, on) => {
    await deliverAll(stages, 1)
    let isUp = false
    const restarted = on.kafka
      .restart()
      .then(over(stages))
      .finally(() => {
        isUp = true
      })
    // Until it is down it goes on answering.
    while (!isUp) await Promise.all([deliverAll(stages, 1), sleep(20)])
    await restarted
    await deliverAll(stages, 1)
  },
  'the broker hangs (SIGSTOP)': async (stages, on) => {
    await deliverAll(stages, 1)
    on.kafka.suspend()
    const resumed = sleep(3 * on.proxied.requestTimeoutMs)
      .then(on.kafka.resume)
      .then(over(stages))
    await deliverAll(stages, 3)
    await resumed
    await deliverAll(stages, 1)
  },
}

/** All deliver so many batches, side by side. */
export async function deliverAll(stages: Stage[], batches: number): Promise<void> {
  await Promise.all(stages.map(stage => deliver(stage, batches)))
}

/** Notes for all that nothing stands in the way any more. */
export const over = (stages: Stage[]) => () => {
  for (const stage of stages) stage.hurt()
}
