import { pause } from '../../config/process/pause.ts'
import type { EventStream } from '../ports/event-stream.ts'

const LOOK_EVERY_MS = 5000

export type Lag = {
  /** Records yet to be taken of the member's partitions, by topic; empty before the first look. */
  records: ReadonlyMap<string, number>
  /** When that was, ms since 1970. */
  atMs: number
}

/**
 * Looks every few seconds how far the topics go beyond what was taken, until `signal` aborts.
 * `nextOf` gives where a partition goes on, or null when it is another member's.
 */
export function startLagWatch(
  stream: EventStream,
  topics: readonly string[],
  nextOf: (topic: string, partition: number) => number | null,
  { signal, onLooked }: { signal: AbortSignal; onLooked(): void },
): Lag {
  const lag: Lag = { records: new Map(), atMs: 0 }
  const look = async () => {
    const atMs = Date.now()
    const stretches = await stream.topicOffsets(topics)
    const behind = new Map<string, number>()
    for (const [topic, { begin, end }] of stretches) {
      let records = 0
      for (const [partition, last] of end) {
        const next = nextOf(topic, partition)
        if (next !== null) records += Math.max(0, last - Math.max(next, begin.get(partition) ?? 0))
      }
      behind.set(topic, records)
    }
    Object.assign(lag, { behind, atMs })
    onLooked()
  }
  const watch = async () => {
    while (!signal.aborted) {
      // While Kafka is away nobody knows, and the membership says so.
      await look().catch(() => {})
      await pause(LOOK_EVERY_MS, signal)
    }
  }
  void watch()
  return lag
}
