import { setTimeout as sleep } from 'node:timers/promises'
import { type Backoff, backoffMs } from './backoff.ts'
import { startPartitioner } from './partitions.ts'

/** What stands beside a value, one object for many records where it is the same. */
export type Headers = Readonly<Record<string, string>>

/** One record on its way to Kafka. */
export type Outgoing = { key: Buffer; partition: number; value: Buffer; headers?: Headers }

/** An event as it goes out. */
export type Framed = Pick<Outgoing, 'value' | 'headers'>

/**
 * How events are written for a topic, one for each, in order. Rejects with SinkUnavailable while
 * what is needed for it is away.
 */
export type Frame = (
  topic: string,
  events: readonly { zone: string; value: Buffer }[],
) => Promise<Framed[]>

/** What is sent at once, and unchanged as often as it takes. */
export type Batch = { topic: string; records: readonly Outgoing[] }

/** What became of one record: null when Kafka has it, or why Kafka will never take it. */
export type Rejection = string | null

/** Nobody knows what became of the batch: the *identical* one must be sent again. */
export class SinkUnavailable extends Error {
  /** The partitions of which that is so, when the fate of all other records is known. */
  readonly undecided: readonly number[] | null
  constructor(message: string, options: ErrorOptions & { undecided?: readonly number[] } = {}) {
    super(message, options)
    this.undecided = options.undecided ?? null
  }
}

/** What a sink hands over: the records of which nobody knows, and who goes on with them. */
export type Apart = {
  /** The fate of each record of the whole batch; undefined for those handed over. */
  decided: (Rejection | undefined)[]
  /** What `sink` must be sent first. */
  batch: Batch
  sink: EventSink & AsyncDisposable
}

/**
 * `send` sends a batch and gives each record's fate, in order. It tries all partitions before it
 * throws SinkUnavailable; then the same Batch object is sent again, later. One send at a time.
 * `setApart` may follow a SinkUnavailable that names the undecided: it hands over their part of
 * that batch with the producer whose numbers it carries, and this sink goes on with a new one.
 */
export type EventSink = { send(batch: Batch): Promise<Rejection[]>; setApart(batch: Batch): Apart }

/** For whom a batch that cannot go is only a reason to wait. */
export type Sender = Pick<EventSink, 'send'>

/**
 * Events of one range, oldest first, and where the range goes on behind them; none, when what was
 * looked at has none for its range.
 */
export type Taken = {
  range: { id: number; topic: string; partitions: number }
  events: readonly { sequence: number; zone: string; value: Buffer }[]
  next: number
}

/**
 * `take` gives the oldest events still to be delivered and does not remove them; `settle` moves
 * their range on, durably within a second or at close, never before the send was acknowledged.
 */
export type EventSource<T extends Taken = Taken> = {
  take(limits: { maxEvents: number; maxBytes: number }): T | null
  settle(taken: T): void
}

export type ForwarderOptions<T extends Taken> = {
  source: EventSource<T>
  sink: Sender
  frame: Frame
  limits: { batchMaxEvents: number; batchMaxBytes: number; lingerMs: number }
  backoff: Backoff
  signal: AbortSignal
  /** An event that Kafka will never take; it must be durable as a note before this returns. */
  onRejected(event: T['events'][number], reason: string): void
  /** The records of the batch that Kafka has. */
  onDelivered(taken: T, batch: Batch): void
  onUnavailable(reason: string, waitMs: number): void
}

/**
 * Makes the one step of the bridge: take a batch, send it until its fate is known, move its range
 * on. `step` says whether more is likely waiting: a large batch came, a small one, or nothing.
 */
export function startForwarder<T extends Taken>(options: ForwarderOptions<T>) {
  const { source, limits } = options
  const placers = new Map<number, ReturnType<typeof startPartitioner>>()
  const tryOn = startTrying(options)
  const deliver = startDelivery(options)
  let lastStart = Number.NEGATIVE_INFINITY

  const batchOf = async ({ range, events }: T): Promise<Batch> => {
    const place = placers.get(range.partitions) ?? startPartitioner(range.partitions)
    placers.set(range.partitions, place)
    const framed = await options.frame(range.topic, events)
    const records = framed.map((one, index) => ({ ...place(events[index]!.zone), ...one }))
    return { topic: range.topic, records }
  }

  return {
    /** Waits until a send may start again: two small ones start at least `lingerMs` apart. */
    async pace(): Promise<void> {
      const restMs = lastStart + limits.lingerMs - performance.now()
      if (restMs > 0) await sleep(restMs, undefined, { signal: options.signal }).catch(() => {})
    },
    async step(): Promise<'small batch' | 'large batch' | 'nothing'> {
      const { batchMaxEvents: maxEvents, batchMaxBytes: maxBytes } = limits
      const taken = source.take({ maxEvents, maxBytes })
      if (!taken) return 'nothing'
      lastStart = performance.now()
      if (taken.events.length === 0) {
        source.settle(taken)
        return 'large batch'
      }
      const batch = await tryOn(() => batchOf(taken))
      const rejections = batch && (await deliver(batch))
      if (!rejections) return 'nothing'
      for (const [index, reason] of rejections.entries()) {
        if (reason !== null) options.onRejected(taken.events[index]!, reason)
      }
      source.settle(taken)
      const arrived = batch.records.filter((_, index) => rejections[index] === null)
      options.onDelivered(taken, { topic: batch.topic, records: arrived })
      const bytes = batch.records.reduce((sum, { value }) => sum + value.length, 0)
      const isLarge = batch.records.length >= maxEvents / 2 || bytes >= maxBytes / 2
      return isLarge ? 'large batch' : 'small batch'
    },
  }
}

export type DeliveryOptions = Pick<
  ForwarderOptions<Taken>,
  'sink' | 'signal' | 'backoff' | 'onUnavailable'
>

/** Sends one batch, unchanged, until its fate is known; null when asked to end before. */
export function startDelivery(options: DeliveryOptions) {
  const tryOn = startTrying(options)
  return (batch: Batch) => tryOn(() => options.sink.send(batch))
}

/** Does it again, after a back-off, while it is unavailable; null when asked to end before. */
function startTrying({ signal, backoff, onUnavailable }: Omit<DeliveryOptions, 'sink'>) {
  return async <D>(work: () => Promise<D>): Promise<D | null> => {
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        return await work()
      } catch (error) {
        if (!(error instanceof SinkUnavailable)) throw error
        const waitMs = backoffMs(failures, backoff)
        onUnavailable(error.message, waitMs)
        await sleep(waitMs, undefined, { signal }).catch(() => {})
      }
    }
    return null
  }
}
