/** The headers of a record; equal headers may share one object among many records. */
export type Headers = Readonly<Record<string, string>>

/** One record on its way to Kafka. */
export type OutgoingRecord = { key: Buffer; partition: number; value: Buffer; headers?: Headers }

/** Framed events: the value and the headers of each record. */
export type FramedEvents = { values: readonly Buffer[]; headers: readonly Headers[] }

/**
 * Frames events for Kafka and keeps their order. Rejects with SinkUnavailable while a dependency of
 * the framing, such as a schema registry, is unavailable.
 */
export type Framing = (
  topic: string,
  events: readonly { zone: string; value: Buffer }[],
) => Promise<FramedEvents>

/** Records that are sent together, and unchanged at every retry. */
export type Batch = { topic: string; records: readonly OutgoingRecord[] }

/** What Kafka reports when it acknowledges records of one partition. */
export type StoredRecords = {
  topic: string
  partition: number
  /** The offset of the first of the records. */
  firstOffset: number
  count: number
  /** When Kafka stored the records, in ms since 1970; null when the topic has CreateTime. */
  appendTimeMs: number | null
}

/** The fate of one record: null when Kafka stored the record, or why Kafka rejects it for good. */
export type KnownFate = string | null

/** The fate of each record of a batch; undefined for a record whose fate is unknown. */
export type Fates = readonly (KnownFate | undefined)[]

/** The fate of the batch is unknown: the *identical* batch must be sent again. */
export class SinkUnavailable extends Error {
  /** The fates that are known nevertheless; null when no fate is known. */
  readonly fates: Fates | null
  constructor(message: string, { fates, ...options }: ErrorOptions & { fates?: Fates } = {}) {
    super(message, options)
    this.fates = fates ?? null
  }
}

/** The records of unknown fate, and the sink that must send them before anything else. */
export type IsolatedBatch = { batch: Batch; sink: EventSink & AsyncDisposable }

/**
 * `send` sends a batch and returns each record's fate, in order. `send` tries all partitions before
 * it throws SinkUnavailable; the caller then sends the same Batch object again, later. At most one
 * send is in flight. `isolate` may be called after a SinkUnavailable whose `fates` say the fate of
 * some records: it returns the records of unknown fate and a sink with the producer that numbered
 * them; this sink continues with a new producer.
 */
export type EventSink = {
  send(batch: Batch): Promise<KnownFate[]>
  isolate(batch: Batch): IsolatedBatch
}

/** A sink without `isolate`, for callers that only wait when a batch cannot be sent. */
export type Sender = Pick<EventSink, 'send'>
