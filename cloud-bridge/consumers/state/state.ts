/** A record to send after the commit of the transaction that produced it. */
export type Effect = {
  /** Derived from the cause, so that a repetition is recognised. A newer effect replaces it. */
  id: string
  topic: string
  key: string
  value: Buffer
}

/** The changes that one transaction makes in the state of a partition. */
export type StateChanges = {
  /** By topic: the next offset to read. */
  offsets?: ReadonlyMap<string, number>
  /** By key of at most 2600 bytes; null deletes the row. */
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

/** Another member claimed the partition, or a newer version replaced the state; nothing changed. */
export class Fenced extends Error {}

/** The state cannot be reached; whether a commit succeeded is unknown until it can. */
export class StateUnavailable extends Error {}

/**
 * The state of one partition, claimed by one member. Rows are ordered by the code points of their
 * keys. All calls reject with StateUnavailable while the state cannot be reached.
 */
export type PartitionState = {
  /** By topic: the next offset at the moment of the claim. */
  readonly offsets: ReadonlyMap<string, number>
  /** The values in the order of the keys; null where there is no row. */
  get(keys: readonly string[]): Promise<(Buffer | null)[]>
  range(span: KeyRange): Promise<Row[]>
  /**
   * One atomic, durable transaction. Rejects with Fenced when anybody claimed the partition since.
   * The same changes can be committed again after StateUnavailable.
   */
  commit(changes: StateChanges): Promise<void>
  /** The oldest pending effects. */
  pendingEffects(limit: number): Promise<PendingEffect[]>
}

/** A version of a consumer's state: one is current, and a newer one can be built beside it. */
export type Version = { number: number; isCurrent: boolean }

/** One consumer's state over all partitions. Calls reject with Fenced after its replacement. */
export type ConsumerState = AsyncDisposable & {
  readonly version: Version
  /** Claims a partition; the commits of its previous owner are fenced from now on. */
  claim(partition: number): Promise<PartitionState>
  /** Reads the committed rows of a partition without a claim. */
  reader(
    partition: number,
  ): Promise<Pick<PartitionState, 'offsets' | 'get' | 'range' | 'pendingEffects'>>
  /** All partitions that were ever claimed, in order. */
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
   * did not become current: claims of that version and commits to it reject with Fenced.
   */
  build(consumer: string): Promise<ConsumerState>
  /**
   * Makes a version current: every later commit to the version before rejects with Fenced. Rejects
   * with Fenced itself when the version was replaced.
   */
  makeCurrent(consumer: string, version: number): Promise<void>
}
