import { setTimeout as sleep } from 'node:timers/promises'
import { createKafkajs } from '../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import { defaults } from '../../../config/config.ts'
import { pause, type Setup } from '../setup/setup.ts'
import { useOf } from './meter.ts'

const SAMPLE_EVERY_MS = 100
const STALLED_MS = 60_000
const ATTEMPTS = 100
const RETRY_MS = 50

/** How much CPU a process had used when Kafka had so many events. */
export type Sample = { delivered: number; cpuSeconds: number; atMs: number }

/** CPU seconds per million events between two counts; null when none was measured. */
export function costBetween(samples: Sample[], from: number, to: number): number | null {
  const cost = (valueAt(samples, to) - valueAt(samples, from)) / (to - from)
  return Number.isNaN(cost) ? null : cost * 1e6
}

/** Between two samples CPU is taken to grow evenly. */
function valueAt(samples: Sample[], delivered: number): number {
  const at = samples.findIndex(sample => sample.delivered >= delivered)
  const [before, behind] = [samples[Math.max(0, at - 1)], samples[at]]
  if (!before || !behind) return Number.NaN
  const span = behind.delivered - before.delivered
  const share = span === 0 ? 1 : (delivered - before.delivered) / span
  return before.cpuSeconds + share * (behind.cpuSeconds - before.cpuSeconds)
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
  await using counter = await openCounter(kafka.brokers)
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

/** Says how many records a topic has been given, while Kafka is there; whoever gave them. */
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
          // Right after a start or a topic's creation a leader may not know of it yet.
          const isPassing = (error as { retriable?: boolean }).retriable === true
          if (!isPassing || attempt === ATTEMPTS) throw error
          await sleep(RETRY_MS)
        }
      }
    },
    [Symbol.asyncDispose]: () => admin.disconnect(),
  }
}
