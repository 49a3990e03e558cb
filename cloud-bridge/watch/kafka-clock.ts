import type { StoredRecords } from '../ports/event-sink.ts'

export type KafkaClock = ReturnType<typeof createKafkaClock>

/**
 * Compares the clock of this machine with Kafka's clock. A topic with LogAppendTime reports Kafka's
 * time with each acknowledgement. The first acknowledgement of `ledgerTopic` ends the wait for
 * Kafka's time even when it has no time.
 */
export function createKafkaClock(
  ledgerTopic: string,
  nowMs = () => Date.now(),
  monotonicMs = () => performance.now(),
) {
  let known: { kafkaMs: number; atMs: number } | null = null
  let isAnswered = false
  return {
    stored({ topic, appendTimeMs }: StoredRecords): void {
      isAnswered ||= topic === ledgerTopic || appendTimeMs !== null
      if (appendTimeMs !== null) known = { kafkaMs: appendTimeMs, atMs: monotonicMs() }
    },
    /** Whether Kafka has said its time, or has shown that no topic says it. */
    get isAnswered(): boolean {
      return isAnswered
    },
    /**
     * How far the clock of this machine is behind Kafka's clock, in ms; 0 when the clock is not
     * behind, or while Kafka's time is unknown.
     */
    lagMs(): number {
      return known ? Math.max(0, known.kafkaMs + monotonicMs() - known.atMs - nowMs()) : 0
    },
  }
}
