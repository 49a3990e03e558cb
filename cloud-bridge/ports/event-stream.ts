/** An offset for each partition. */
export type Offsets = ReadonlyMap<number, number>

export type ReadRecord = {
  partition: number
  offset: number
  /**
   * Ms since 1970: when Kafka stored the record if the topic has LogAppendTime, otherwise when the
   * producer sent the record.
   */
  appendTimeMs: number
  key: Buffer | null
  value: Buffer
  /** The headers by name. Of several headers with the same name, the last one. */
  headers: Readonly<Record<string, Buffer>>
}

/**
 * First and end offset of each partition of a topic; the first offset rises when Kafka deletes old
 * records, and the end offset is that of the next record.
 */
export type TopicOffsets = { begin: Offsets; end: Offsets }

/** Reads the records of topics; used by the ledger, the rehearsal's verdict and the consumers. */
export type EventStream = {
  /**
   * The first and end offsets of each topic, requested for one topic after the other. A topic that
   * does not exist, or that this user may not see, is left out. Rejects while Kafka is unavailable.
   */
  topicOffsets(topics: readonly string[]): Promise<Map<string, TopicOffsets>>
  /**
   * Reads the records of a topic between two sets of offsets (`from` included, 0 where `from` has
   * no entry; `to` excluded) and leaves no consumer group behind. Each partition is read in order,
   * without deleted records and records without a value. Resolves when every partition is read to
   * its end; rejects while Kafka is unavailable, when the topic does not exist or may not be read,
   * and when a record cannot be decoded.
   */
  readBetween(
    topic: string,
    from: Offsets,
    to: Offsets,
    onRecord: (record: ReadRecord) => void,
  ): Promise<void>
}
