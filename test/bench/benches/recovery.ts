import type { LocalKafka } from '../../../simulators/kafka/local-kafka.ts'
import type { Client } from '../arguments.ts'
import type { LoadOptions } from '../load/load.ts'
import type { Measurement } from '../measure/figures.ts'
import { openCounter } from '../measure/samples.ts'
import { startBenchProcess } from '../setup/bench-process.ts'
import { DEVICES, openPipeline } from '../setup/pipeline.ts'
import { pause } from '../setup/setup.ts'
import type { Bench, BenchCase } from './bench-case.ts'

const LOOK_EVERY_MS = 20
const GIVE_UP_MS = 120_000
const UNDER_WAY_MS = 3000
/** More messages than the load can send; the bench ends the load. */
const ENOUGH_MESSAGES = 1_000_000

/**
 * The time from the readiness of a restarted broker to the broker's first event, after a kill and
 * an outage of some seconds (0: an orderly restart without an outage).
 */
export const recovery: BenchCase = {
  needsKafka: true,
  size: ({ recovery }) => recovery,
  async run(bench) {
    const figures: Measurement[] = []
    for (const client of bench.clients) {
      for (const seconds of bench.sizes.recovery.awaySeconds) {
        figures.push({
          ...{ figure: `ready to first event, ${seconds} s away`, of: client, unit: 's' },
          ...{ value: await recover(bench, client, seconds), target: { below: 10 } },
        })
      }
    }
    return figures
  },
}

async function recover(bench: Bench, client: Client, awaySeconds: number): Promise<number> {
  const { signal } = bench
  const kafka = await bench.kafka()
  await using pipeline = await openPipeline(bench, { name: `${client}-${awaySeconds}`, client })
  await pipeline.openConnections()
  const load: LoadOptions = {
    port: pipeline.mqttPort,
    connections: DEVICES,
    messages: ENOUGH_MESSAGES,
    ratePerSecond: bench.sizes.recovery.ratePerSecond,
  }
  await using _ = await startBenchProcess('load/load.ts', load, signal)
  await pause(UNDER_WAY_MS, signal)
  await interruptKafka(kafka, awaySeconds, signal)
  const readyMs = performance.now()
  await using counter = await openCounter(kafka.brokers)
  const first = await counter.count(pipeline.topic)
  while ((await counter.count(pipeline.topic)) === first) {
    if (performance.now() - readyMs > GIVE_UP_MS)
      throw new Error(`no event was delivered within ${GIVE_UP_MS} ms after the restart`)
    await pause(LOOK_EVERY_MS, signal)
  }
  pipeline.throwIfRestarted()
  return (performance.now() - readyMs) / 1000
}

async function interruptKafka(
  kafka: LocalKafka,
  seconds: number,
  signal: AbortSignal,
): Promise<void> {
  if (seconds > 0) {
    await kafka.kill()
    await pause(seconds * 1000, signal)
  }
  await kafka.restart()
}
