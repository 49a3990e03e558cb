/** What is to be sent, once the transaction that it came from has been committed. */
export type Effect = {
  /** Follows from what it is about, so that a second sending can be told. A newer replaces it. */
  id: string
  topic: string
  key: string
  value: Buffer
}

/** All that one transaction changes in the state of a partition. */
export type StateChanges = {
  /** The next offset of each topic that was read. */
  offsets?: ReadonlyMap<string, number>
  /** By key, of at most 2600 bytes; null deletes. */
  rows?: ReadonlyMap<string, Buffer | null>
  effects?: readonly Effect[]
  /** Effects that Kafka has; one that was replaced meanwhile stays. */
  sent?: readonly SentEffect[]
}

/** An effect that waits, and the number of its waiting: a newer one of that id has another. */
export type SentEffect = { id: string; number: number }
export type PendingEffect = Effect & SentEffect

export type Row = { key: string; value: Buffer }

export type KeyRange = {
  /** The first key, included. */
  from: string
  /** The first key beyond, not included. */
  to: string
  limit?: number
  /** The last ones first. */
  backwards?: boolean
}

/** Another member claimed the partition, or this state was replaced: nothing was changed. */
export class Fenced extends Error {}

/** The state cannot be reached now; whether a commit was made is unknown until it can. */
export class StateUnavailable extends Error {}

/**
 * The state of one partition, claimed by one member. Rows stand in the order of their keys by code
 * point. All reject with StateAway while it cannot be reached.
 */
export type PartitionState = {
  /** The next offset of each topic, as they were at the claim. */
  readonly offsets: ReadonlyMap<string, number>
  /** The values of keys, in that order. */
  get(keys: readonly string[]): Promise<(Buffer | null)[]>
  range(span: KeyRange): Promise<Row[]>
  /**
   * One transaction, durable and whole. Rejects with Fenced when the partition was claimed since by
   * anybody. The same changes may be committed again after a StateAway.
   */
  commit(changes: StateChanges): Promise<void>
  /** The oldest effects that wait. */
  waiting(limit: number): Promise<PendingEffect[]>
}

/** Which state of a consumer: one is current, one more may be built beside it. */
export type Version = { number: number; isCurrent: boolean }

/** The state of one consumer over all partitions. Rejects with Fenced when it was replaced. */
export type ConsumerState = AsyncDisposable & {
  readonly version: Version
  /** Takes a partition; whoever had it fails from now on. */
  claim(partition: number): Promise<PartitionState>
  /** Reads a partition without claiming it. Only committed rows are seen. */
  reader(partition: number): Promise<Pick<PartitionState, 'offsets' | 'get' | 'range' | 'waiting'>>
  /** Which partitions were ever claimed, in order. */
  partitions(): Promise<number[]>
}

/** The state of a consumer, whichever version that is. */
export type ConsumerStateAccess = Omit<ConsumerState, 'version'>

/** What states are kept in. All reject with StateAway while it cannot be reached. */
export type StateStore = AsyncDisposable & {
  /** Opens the current version of a consumer's state; the first one is made when there is none. */
  open(consumer: string): Promise<ConsumerState>
  /**
   * Begins a new version beside the current one, in place of one that was begun and not made
   * current: claims of that one and commits to it reject with Fenced.
   */
  build(consumer: string): Promise<ConsumerState>
  /**
   * Makes a version current: from then on every commit to the one before rejects with Fenced. So
   * does this when the version was replaced itself.
   */
  makeCurrent(consumer: string, version: number): Promise<void>
}
