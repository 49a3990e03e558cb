import { setTimeout as sleep } from 'node:timers/promises'
import { createKafkajs } from '../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import { defaults } from '../../../config/config.ts'
import { pause, type Setup } from '../setup/setup.ts'
import { readResourceUse } from './meter.ts'

const SAMPLE_EVERY_MS = 100
const STALLED_MS = 60_000
const ATTEMPTS = 100
const RETRY_MS = 50

/** The CPU seconds of a process at the moment at which Kafka had `delivered` events. */
export type ProgressSample = { delivered: number; cpuSeconds: number; atMs: number }

/** CPU seconds per million events between two event counts; null when not measured. */
export function costBetween(samples: ProgressSample[], from: number, to: number): number | null {
  const cost = (valueAt(samples, to) - valueAt(samples, from)) / (to - from)
  return Number.isNaN(cost) ? null : cost * 1e6
}

/** Interpolates CPU seconds linearly between two samples. */
function valueAt(samples: ProgressSample[], delivered: number): number {
  const at = samples.findIndex(sample => sample.delivered >= delivered)
  const [before, behind] = [samples[Math.max(0, at - 1)], samples[at]]
  if (!before || !behind) return Number.NaN
  const span = behind.delivered - before.delivered
  const share = span === 0 ? 1 : (delivered - before.delivered) / span
  return before.cpuSeconds + share * (behind.cpuSeconds - before.cpuSeconds)
}

/**
 * Samples every 100 ms until the topic has `events` events. Asks Kafka for the number of events,
 * because an answer would cost the measured process CPU. Rejects when no event arrives for a
 * minute.
 */
export async function sampleUntil(
  events: number,
  pid: number,
  { kafka, topic }: Pick<Setup, 'kafka' | 'topic'>,
  signal: AbortSignal,
): Promise<ProgressSample[]> {
  await using counter = await openCounter(kafka.brokers)
  const samples: ProgressSample[] = []
  let changedMs = performance.now()
  while ((samples.at(-1)?.delivered ?? 0) < events) {
    const delivered = await counter.count(topic)
    const atMs = performance.now()
    if (delivered !== samples.at(-1)?.delivered) changedMs = atMs
    else if (atMs - changedMs > STALLED_MS) {
      throw new Error(`${topic} has stalled at ${delivered} of ${events} events`)
    }
    samples.push({ delivered, cpuSeconds: readResourceUse(pid).cpuSeconds ?? Number.NaN, atMs })
    await pause(SAMPLE_EVERY_MS, signal)
  }
  return samples
}

/** Opens a counter of the records in a topic. Close the counter before Kafka ends. */
export async function openCounter(brokers: readonly string[]) {
  const admin = createKafkajs({ ...defaults.kafka, brokers }).admin()
  await admin.connect()
  return {
    async count(topic: string): Promise<number> {
      for (let attempt = 1; ; attempt++) {
        try {
          const ends = await admin.fetchTopicOffsets(topic)
          return ends.reduce((sum, { high }) => sum + Number(high), 0)
        } catch (error) {
          // Right after a start or a topic's creation, a leader may not know its partition yet.
          const isPassing = (error as { retriable?: boolean }).retriable === true
          if (!isPassing || attempt === ATTEMPTS) throw error
          await sleep(RETRY_MS)
        }
      }
    },
    [Symbol.asyncDispose]: () => admin.disconnect(),
  }
}
