import type { KafkaOptions } from '../../cloud-bridge/kafka/client.ts'
import { configuredKafka } from '../../cloud-bridge/kafka/kafkajs/configured.ts'
import { useOf } from './meter.ts'
import { pause, type Setup } from './setup.ts'

const SAMPLE_EVERY_MS = 100
const STALLED_MS = 60_000

/** How much CPU a process had used when Kafka had so many events. */
export type Sample = { delivered: number; cpuSeconds: number; atMs: number }

/** CPU seconds per million events between two counts; null when none was measured. */
export function costBetween(samples: Sample[], from: number, to: number): number | null {
  const cost = between(samples, from, to, ({ cpuSeconds }) => cpuSeconds) / (to - from)
  return Number.isNaN(cost) ? null : cost * 1e6
}

/** Events a second between two counts; null when none was measured. */
export function rateBetween(samples: Sample[], from: number, to: number): number | null {
  const rate = (to - from) / between(samples, from, to, ({ atMs }) => atMs)
  return Number.isNaN(rate) ? null : rate * 1000
}

/** Between two samples a value is taken to grow evenly. */
function between(samples: Sample[], from: number, to: number, of: (one: Sample) => number) {
  const valueAt = (delivered: number) => {
    const at = samples.findIndex(sample => sample.delivered >= delivered)
    const [before, behind] = [samples[Math.max(0, at - 1)], samples[at]]
    if (!before || !behind) return Number.NaN
    const span = behind.delivered - before.delivered
    const share = span === 0 ? 1 : (delivered - before.delivered) / span
    return of(before) + share * (of(behind) - of(before))
  }
  return valueAt(to) - valueAt(from)
}

/**
 * Looks every 100 ms how far a process has come until the topic has so many events. Asks Kafka, not
 * the process, because answering would cost that CPU. Rejects when nothing comes for a minute.
 */
export async function sampleUntil(
  events: number,
  pid: number,
  { kafka, topic }: Pick<Setup, 'kafka' | 'topic'>,
  signal: AbortSignal,
): Promise<Sample[]> {
  await using counter = await openCounter(kafka)
  const samples: Sample[] = []
  let changedMs = performance.now()
  while ((samples.at(-1)?.delivered ?? 0) < events) {
    const delivered = await counter.count(topic)
    const atMs = performance.now()
    if (delivered !== samples.at(-1)?.delivered) changedMs = atMs
    else if (atMs - changedMs > STALLED_MS) throw new Error(`stalled at ${delivered} events`)
    samples.push({ delivered, cpuSeconds: useOf(pid).cpuSeconds ?? Number.NaN, atMs })
    await pause(SAMPLE_EVERY_MS, signal)
  }
  return samples
}

/** Says how many records a topic has been given, while Kafka is there. */
export async function openCounter(kafka: KafkaOptions) {
  const admin = configuredKafka(kafka).admin()
  await admin.connect()
  return {
    async count(topic: string): Promise<number> {
      const ends = await admin.fetchTopicOffsets(topic)
      return ends.reduce((sum, { high }) => sum + Number(high), 0)
    },
    [Symbol.asyncDispose]: () => admin.disconnect(),
  }
}
