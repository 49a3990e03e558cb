import type { ReadRecord } from '../../ports/event-stream.ts'

/**
 * What one consumer does with one partition, from the moment that it takes it until it gives it up.
 * What it keeps of it, and how far it has read, are of one piece: a kill leaves both or neither.
 */
export type PartitionWork = AsyncDisposable & {
  /** Where to go on in each topic, as it is committed; 0 where it has none. */
  readonly nextOffsets: ReadonlyMap<string, number>
  /** Rejects when it fails, in a take or by itself: then it is over. */
  readonly failed?: Promise<never>
  /**
   * Takes records of one topic in order; one call at a time. They are committed soon. Rejects when
   * it was aborted or the partition is another's: then this work is over, and what was not
   * committed is read again.
   */
  processRecords(topic: string, records: readonly ReadRecord[], signal: AbortSignal): Promise<void>
}

/**
 * A consumer: its name, which is that of its group and its state, and how it takes a partition;
 * `signal` aborts when the partition may be another's. It waits itself for what is away.
 */
export type Consumer = {
  name: string
  open(partition: number, signal: AbortSignal): Promise<PartitionWork>
}
