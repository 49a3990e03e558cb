import type { ReadRecord } from '../../ports/event-stream.ts'

/**
 * The work of one consumer on one partition, from the assignment of the partition until its end.
 * State and offsets commit atomically: a crash keeps both or neither.
 */
export type PartitionWork = AsyncDisposable & {
  /**
   * For each topic, the committed offset at which reading continues; 0 where no offset is
   * committed.
   */
  readonly nextOffsets: ReadonlyMap<string, number>
  /** Rejects when the work fails, in a call or in the background: then the work is over. */
  readonly failed?: Promise<never>
  /**
   * Processes records of one topic in order; one call at a time. The records are committed soon
   * afterwards. Rejects when `signal` aborts or another member owns the partition: then this work
   * is over, and the next owner of the partition reads the uncommitted records again.
   */
  processRecords(topic: string, records: readonly ReadRecord[], signal: AbortSignal): Promise<void>
}

/**
 * A consumer. Its name is the name of its group and its state. `open` takes ownership of a
 * partition, and waits while a dependency is unavailable; `signal` aborts when another member can
 * own the partition.
 */
export type Consumer = {
  name: string
  open(partition: number, signal: AbortSignal): Promise<PartitionWork>
}
