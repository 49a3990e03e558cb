import { pause } from '../../config/process/pause.ts'
import type { EventStream } from '../ports/event-stream.ts'

const POLL_EVERY_MS = 5000

export type Lag = {
  /** Unprocessed records of the member's partitions, by topic; empty before the first poll. */
  recordsByTopic: ReadonlyMap<string, number>
  /** The time of the last poll, ms since 1970; 0 before the first poll. */
  atMs: number
}

/**
 * Polls the end offsets of the topics every 5 s until `signal` aborts, and updates the returned
 * lag. `nextOffset` gives the next offset to process in a partition; null for a partition of
 * another member. Calls `onPolled` after each successful poll.
 */
export function startLagWatch(
  stream: EventStream,
  topics: readonly string[],
  nextOffset: (topic: string, partition: number) => number | null,
  { signal, onPolled }: { signal: AbortSignal; onPolled(): void },
): Lag {
  const lag: Lag = { recordsByTopic: new Map(), atMs: 0 }
  const poll = async () => {
    const atMs = Date.now()
    const recordsByTopic = new Map<string, number>()
    for (const [topic, { begin, end }] of await stream.topicOffsets(topics)) {
      let records = 0
      for (const [partition, last] of end) {
        const next = nextOffset(topic, partition)
        if (next !== null) records += Math.max(0, last - Math.max(next, begin.get(partition) ?? 0))
      }
      recordsByTopic.set(topic, records)
    }
    const polled: Lag = { recordsByTopic, atMs }
    Object.assign(lag, polled)
    onPolled()
  }
  const watch = async () => {
    while (!signal.aborted) {
      // While Kafka is unavailable the lag is unknown; the group membership reports the cause.
      await poll().catch(() => {})
      await pause(POLL_EVERY_MS, signal)
    }
  }
  void watch()
  return lag
}
