/** A record to send after the commit of the transaction that produced it. */
export type Effect = {
  /**
   * The same cause gives the same id, so a reader recognises a repetition. In the state, a newer
   * effect replaces a pending effect with the same id.
   */
  id: string
  topic: string
  key: string
  value: Buffer
}

/** The changes that one transaction makes in the state of a partition. */
export type StateChanges = {
  /** For each topic, the next offset to read. */
  offsets?: ReadonlyMap<string, number>
  /** For each changed key (at most 2600 bytes), the new value; null deletes the row. */
  rows?: ReadonlyMap<string, Buffer | null>
  effects?: readonly Effect[]
  /** Effects that Kafka acknowledged; an effect that was replaced in the meantime stays. */
  sent?: readonly SentEffect[]
}

/** An effect's id, and its number in the state: a newer effect with that id has another number. */
export type SentEffect = { id: string; number: number }
export type PendingEffect = Effect & SentEffect

export type Row = { key: string; value: Buffer }

export type KeyRange = {
  /** The first key, included. */
  from: string
  /** The key after the last one, excluded. */
  to: string
  limit?: number
  /** From the last key to the first. */
  backwards?: boolean
}

/**
 * Another member took ownership of the partition, or a newer version replaced the state. The call
 * that rejects with this error changed nothing.
 */
export class Fenced extends Error {}

/**
 * The state cannot be reached now. It is unknown whether a commit that rejects with this error
 * succeeded.
 */
export class StateUnavailable extends Error {}

/**
 * The state of one partition, owned by one member. Rows are ordered by the code points of their
 * keys. All calls reject with StateUnavailable while the state cannot be reached.
 */
export type PartitionState = {
  /** For each topic, the next offset to read, as of the moment when this object was created. */
  readonly offsets: ReadonlyMap<string, number>
  /** The values in the order of the keys; null where there is no row. */
  get(keys: readonly string[]): Promise<(Buffer | null)[]>
  range(span: KeyRange): Promise<Row[]>
  /**
   * One atomic, durable transaction. Rejects with Fenced when another member took ownership of the
   * partition since, or a newer version replaced the state. The same changes can be committed again
   * after StateUnavailable.
   */
  commit(changes: StateChanges): Promise<void>
  /** The oldest pending effects. */
  pendingEffects(limit: number): Promise<PendingEffect[]>
}

/** A version of a consumer's state: one is current, and a newer one can be built beside it. */
export type Version = { number: number; isCurrent: boolean }

/**
 * One version of a consumer's state, over all partitions. Calls reject with Fenced after a newer
 * version replaced this version.
 */
export type ConsumerState = AsyncDisposable & {
  readonly version: Version
  /**
   * Takes ownership of a partition. Commits of the previous owner reject with Fenced from now on.
   */
  claim(partition: number): Promise<PartitionState>
  /** Reads the committed rows of a partition without ownership. */
  reader(
    partition: number,
  ): Promise<Pick<PartitionState, 'offsets' | 'get' | 'range' | 'pendingEffects'>>
  /** All partitions that ever had an owner, in order. */
  partitions(): Promise<number[]>
}

/** A consumer's state regardless of its version. */
export type ConsumerStateAccess = Omit<ConsumerState, 'version'>

/** The storage of states. All calls reject with StateUnavailable while it cannot be reached. */
export type StateStore = AsyncDisposable & {
  /** Opens the current version of a consumer's state; creates the first version if needed. */
  open(consumer: string): Promise<ConsumerState>
  /**
   * Begins a new version beside the current one. It replaces a version that was begun before and
   * did not become current: `claim` and commits of that version reject with Fenced.
   */
  build(consumer: string): Promise<ConsumerState>
  /**
   * Makes a version current: every later commit to the previous version rejects with Fenced. This
   * call itself rejects with Fenced when the version was replaced before.
   */
  makeCurrent(consumer: string, version: number): Promise<void>
}
