import type { ExitCode } from '../../config/process/exit-codes.ts'
import type { Offsets, ReadRecord } from './event-stream.ts'

/** What one member of a consumer group reads, and the callbacks that process the records. */
export type Membership = {
  groupId: string
  /** Topics with equally many partitions: partition p of every topic goes to the same member. */
  topics: readonly string[]
  /** Session timeout in ms: a member without a heartbeat for so long loses its partitions. */
  sessionMs: number
  /**
   * Called after each rebalance with all partitions that are assigned to this member until `signal`
   * aborts. No work of the previous assignment runs any more. Returns the offset from which to read
   * each partition of each topic, whatever offsets are committed to Kafka. A rejection ends the
   * membership.
   */
  onAssigned(
    partitions: readonly number[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Offsets>>
  /**
   * Processes records of one partition of one topic, in order and without records that have no
   * value. The next records of the partition follow when the promise resolves, which may take
   * longer than a session. `signal` aborts when the partition may belong to another member: the
   * result is ignored from then on. A rejection ends the membership, unless `signal` is aborted.
   */
  onRecords(topic: string, records: readonly ReadRecord[], signal: AbortSignal): Promise<void>
  /** Called when Kafka deleted records before this member read them. */
  onDeleted?(gap: OffsetGap): void
  /** Called each time that Kafka is unreachable or answers with an error, with the reason. */
  onUnavailable?(reason: string): void
}

/** Deleted offsets of one partition, `from` included, `to` excluded. */
export type OffsetGap = { topic: string; partition: number; from: number; to: number }

/**
 * `consume` reads as a member of a group until `signal` aborts; then the member leaves the group in
 * order, so that other members take over at once. While Kafka is unavailable, the member retries.
 * When the promise resolves or rejects, no work of the member runs any more. Rejects with
 * CannotConsume, or with the error of the member's own work. The member commits its progress to
 * Kafka now and then, for tools that show the lag.
 */
export type ConsumerGroup = { consume(membership: Membership, signal: AbortSignal): Promise<void> }

/**
 * A permanent obstacle: a topic or a right is missing, the topics have different partition counts,
 * or a topic ends before the next offset. Through kafkajs, a missing right to the group looks like
 * an unavailable Kafka.
 */
export class CannotConsume extends Error {
  readonly ending: ExitCode = 'ERR_MISCONFIGURED'
}
