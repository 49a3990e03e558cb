import type { Offsets, ReadRecord } from './event-stream.ts'

/** What one member of a consumer group reads, and what becomes of it. */
export type Membership = {
  groupId: string
  /** Topics with equally many partitions: partition p of each goes to the same member. */
  topics: readonly string[]
  /** After so long without a sign of life a member's partitions go to others, in ms. */
  sessionMs: number
  /**
   * Told each time the group shares out anew: all partitions that are this member's now, until
   * `signal` aborts. Nothing of what was assigned before runs any more. Gives where to go on in
   * each topic, whatever Kafka has been told. What it rejects with ends the membership.
   */
  onAssigned(
    partitions: readonly number[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Offsets>>
  /**
   * Takes records of one partition of one topic, in order and without those that have no value; the
   * next ones of that partition come when it resolves, which may take longer than a session.
   * `signal` aborts when the partition may be another's: then nothing it does counts any more. What
   * it rejects with ends the membership, unless it was aborted.
   */
  onRecords(topic: string, records: readonly ReadRecord[], signal: AbortSignal): Promise<void>
  /** Kafka deleted, before it was read, what was to come from one offset to before another. */
  onDeleted?(gap: OffsetGap): void
  /** Told each time that Kafka cannot be reached, or does not give what it should, and why. */
  onUnavailable?(reason: string): void
}

export type OffsetGap = { topic: string; partition: number; from: number; to: number }

/**
 * `join` reads as a member of a group until `signal` aborts; then it leaves in order, so that
 * others take over at once. While Kafka is away it goes on trying. When it settles, nothing of its
 * work runs any more. Rejects with CannotJoin, or with what the member's own work rejected with.
 * What was done is committed to Kafka now and then, for who asks about lag.
 */
export type ConsumerGroup = { consume(membership: Membership, signal: AbortSignal): Promise<void> }

/**
 * A topic or a right is missing, topics differ, or one ends before what is to come next: nothing
 * that time mends. Through kafkajs a missing right to the group looks as if Kafka were away.
 */
export class CannotConsume extends Error {}
