import type { LocalKafka } from '../../../simulators/kafka/local-kafka.ts'
import type { Client } from '../arguments.ts'
import type { LoadOptions } from '../load/load.ts'
import type { Measured } from '../measure/figures.ts'
import { openCounter } from '../measure/samples.ts'
import { startHelper } from '../setup/helper.ts'
import { DEVICES, openPipeline } from '../setup/pipeline.ts'
import { pause } from '../setup/setup.ts'
import type { Bench, Part } from './bench-case.ts'

const LOOK_EVERY_MS = 20
const GIVE_UP_MS = 120_000
const UNDER_WAY_MS = 3000
/** No load is that long: it is ended. */
const ENOUGH_MESSAGES = 1_000_000

/**
 * How long it takes from the moment at which the broker is ready again until it has an event, after
 * it was killed and away for a while (0: ended in order and started again at once).
 */
export const recovery: Part = {
  needsKafka: true,
  size: ({ recovery }) => recovery,
  async run(bench) {
    const figures: Measured[] = []
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
  await pipeline.openTheWay()
  const load: LoadOptions = {
    port: pipeline.mqttPort,
    connections: DEVICES,
    messages: ENOUGH_MESSAGES,
    ratePerSecond: bench.sizes.recovery.ratePerSecond,
  }
  await using _ = await startHelper('load/load.ts', load, signal)
  await pause(UNDER_WAY_MS, signal)
  await takeAway(kafka, awaySeconds, signal)
  const readyMs = performance.now()
  await using counter = await openCounter(kafka.brokers)
  const first = await counter.count(pipeline.topic)
  while ((await counter.count(pipeline.topic)) === first) {
    if (performance.now() - readyMs > GIVE_UP_MS) throw new Error('nothing was delivered any more')
    await pause(LOOK_EVERY_MS, signal)
  }
  pipeline.throwIfRestarted()
  return (performance.now() - readyMs) / 1000
}

async function takeAway(kafka: LocalKafka, seconds: number, signal: AbortSignal): Promise<void> {
  if (seconds > 0) {
    await kafka.kill()
    await pause(seconds * 1000, signal)
  }
  await kafka.restart()
}
