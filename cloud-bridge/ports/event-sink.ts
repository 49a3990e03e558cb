/** What stands beside a value, one object for many records where it is the same. */
export type Headers = Readonly<Record<string, string>>

/** One record on its way to Kafka. */
export type OutgoingRecord = { key: Buffer; partition: number; value: Buffer; headers?: Headers }

/** Events as they go out: of each its value and what stands beside it. */
export type FramedEvents = { values: readonly Buffer[]; headers: readonly Headers[] }

/**
 * How events are written for the cloud, in order. Rejects with SinkUnavailable while what is needed
 * for it is away.
 */
export type Framing = (
  topic: string,
  events: readonly { zone: string; value: Buffer }[],
) => Promise<FramedEvents>

/** What is sent at once, and unchanged as often as it takes. */
export type Batch = { topic: string; records: readonly OutgoingRecord[] }

/** What became of one record: null when Kafka has it, or why Kafka will never take it. */
export type KnownFate = string | null

/** The fate of each record of a batch; undefined where nobody knows it. */
export type Fates = readonly (KnownFate | undefined)[]

/** Nobody knows what became of the batch: the *identical* one must be sent again. */
export class SinkUnavailable extends Error {
  /** What is known nevertheless; null: nothing. */
  readonly fates: Fates | null
  constructor(message: string, { fates, ...options }: ErrorOptions & { fates?: Fates } = {}) {
    super(message, options)
    this.fates = fates ?? null
  }
}

/** What a sink hands over: the records of which nobody knows, and who is to be sent them first. */
export type IsolatedBatch = { batch: Batch; sink: EventSink & AsyncDisposable }

/**
 * `send` sends a batch and gives each record's fate, in order. It tries all partitions before it
 * throws SinkUnavailable; then the same Batch object is sent again, later. One send at a time.
 * `setApart` may follow a SinkUnavailable that knows the fate of some: it hands over the others
 * with the producer whose numbers they carry, and this sink goes on with a new one.
 */
export type EventSink = {
  send(batch: Batch): Promise<KnownFate[]>
  isolate(batch: Batch): IsolatedBatch
}

/** For whom a batch that cannot go is only a reason to wait. */
export type Sender = Pick<EventSink, 'send'>
