/** A partition's offset each. */
export type Offsets = ReadonlyMap<number, number>

export type ReadRecord = {
  partition: number
  offset: number
  /** Ms since 1970: when Kafka got it, where the topic has LogAppendTime; else when it was sent. */
  appendTimeMs: number
  key: Buffer | null
  value: Buffer
  /** The last of each name. */
  headers: Readonly<Record<string, Buffer>>
}

/** Where each partition of a topic begins, because Kafka deletes what is old, and ends. */
export type TopicOffsets = { begin: Offsets; end: Offsets }

/** What stands in topics, for who reads it: the ledger, the verdict, and in time each consumer. */
export type EventStream = {
  /**
   * Where topics begin and end, asked one after the other; those that Kafka does not have, or does
   * not show us, are left out. Rejects while Kafka is away.
   */
  topicOffsets(topics: readonly string[]): Promise<Map<string, TopicOffsets>>
  /**
   * Reads what stands in a topic between two sets of offsets (0 where `from` has none; `to` is the
   * first that is not read) and leaves nothing behind. Each partition comes in order, without what
   * has no value or was deleted. Resolves when every partition was read to its end; rejects while
   * Kafka is away, when it has no such topic, does not let us read, or gives what cannot be read.
   */
  readBetween(
    topic: string,
    from: Offsets,
    to: Offsets,
    onRecord: (record: ReadRecord) => void,
  ): Promise<void>
}
