import { setImmediate as rest } from 'node:timers/promises'
import { createPartitioner } from '../../config/event/partitioner.ts'
import { pause } from '../../config/process/pause.ts'
import {
  type Batch,
  type Fates,
  type Framing,
  type OutgoingRecord,
  type Sender,
  SinkUnavailable,
} from '../ports/event-sink.ts'
import type { CircuitBreaker } from '../retry/circuit-breaker.ts'
import { retryOrNull } from '../retry/retry.ts'
import type { createBatchSize } from './batch-size.ts'

/**
 * Events of one range, oldest first, and where the range goes on behind them; none, when what was
 * looked at has none for its range.
 */
export type PendingBatch = {
  range: { id: number; topic: string; partitions: number }
  events: readonly { sequence: number; zone: string; value: Buffer }[]
  next: number
}

/**
 * `take` gives the oldest events still to be delivered and does not remove them; `settle` moves
 * their range on, durably within a second or at close, never before the send was acknowledged.
 * `readAhead`, if there is one, has what is behind them ready for the next `take`.
 */
export type BatchSource<T extends PendingBatch = PendingBatch> = {
  readBatch(limits: { maxEvents: number; maxBytes: number }): T | null
  readAhead?(taken: T, limits: { maxEvents: number; maxBytes: number }): void
  advance(taken: T): void
}

export type ForwarderOptions<T extends PendingBatch> = DeliveryOptions & {
  source: BatchSource<T>
  framing: Framing
  size: BatchSize
  /** Two small batches start at least so long apart. */
  lingerMs: number
  /** An event that Kafka will never take; it must be durable as a note before this returns. */
  onRejected(event: T['events'][number], reason: string, taken: T): void
  /** The records of the batch that Kafka has. */
  onDelivered(taken: T, batch: Batch): void
  /** What to do about partitions that hold up the others; nothing, when it is left out. */
  isolation?: {
    /** How long they may, in ms. */
    afterMs: number
    /**
     * Gives what has no fate yet a range of its own and notes what is rejected of the rest,
     * durably; false when that cannot be now, and nothing was changed: all of it waits.
     */
    begin(taken: T, batch: Batch, fates: Fates): boolean
  }
}

type BatchSize = Pick<ReturnType<typeof createBatchSize>, 'maxEvents' | 'maxBytes' | 'acknowledged'>

export type StepResult = 'small batch' | 'large batch' | 'nothing'

/**
 * Makes the one step of the bridge: take a batch, send it until its fate is known, move its range
 * on. `step` says whether more is likely waiting: a large batch came, a small one, or nothing.
 */
export function createForwarder<T extends PendingBatch>(options: ForwarderOptions<T>) {
  const { source, size, sink, isolation, signal } = options
  const placers = new Map<number, ReturnType<typeof createPartitioner>>()
  const tryOn = startTrying(options)
  let lastStart = Number.NEGATIVE_INFINITY

  const batchOf = async ({ range, events }: T): Promise<Batch> => {
    const place = placers.get(range.partitions) ?? createPartitioner(range.partitions)
    placers.set(range.partitions, place)
    const framed = await options.framing(range.topic, events)
    // Each object of an event costs as much as reading the event.
    const records = events.map(({ zone }, index): OutgoingRecord => {
      const { key, partition } = place(zone)
      return { key, partition, value: framed.values[index]!, headers: framed.headers[index]! }
    })
    return { topic: range.topic, records }
  }
  const tell = (taken: T, batch: Batch, fates: Fates) => {
    const isThere = (_: unknown, index: number) => fates[index] === null
    if (batch.records.every(isThere)) options.onDelivered(taken, batch)
    else if (batch.records.some(isThere)) {
      options.onDelivered(taken, { topic: batch.topic, records: batch.records.filter(isThere) })
    }
  }
  /** Sends it until all is known, or all but what is set apart; null when asked to end before. */
  const deliver = (taken: T, batch: Batch) => {
    let stuckSinceMs: number | null = null
    return tryOn(async (): Promise<'all' | 'the rest'> => {
      try {
        const fates = await sink.send(batch)
        for (const [index, reason] of fates.entries()) {
          if (reason !== null) options.onRejected(taken.events[index]!, reason, taken)
        }
        source.advance(taken)
        tell(taken, batch, fates)
        return 'all'
      } catch (error) {
        const fates = error instanceof SinkUnavailable ? error.fates : null
        if (!isolation || !fates?.some(fate => fate !== undefined)) throw error
        stuckSinceMs ??= performance.now()
        const isEnough = performance.now() - stuckSinceMs >= isolation.afterMs
        if (!isEnough || !isolation.begin(taken, batch, fates)) throw error
        tell(taken, batch, fates)
        return 'the rest'
      }
    })
  }

  return {
    deliver,
    /**
     * Waits until a send may start again, at most `lingerMs`: two small ones start at least so long
     * apart, and where they come close upon each other, one waits for the next arrival as well.
     */
    async pace(arrival?: (withinMs: number) => Promise<void>): Promise<void> {
      const { lingerMs } = options
      const sinceMs = performance.now() - lastStart
      const restMs = Math.max(0, lingerMs - sinceMs)
      if (restMs > 0) await pause(restMs, signal)
      if (sinceMs < 2 * lingerMs) await arrival?.(lingerMs - restMs)
    },
    async step(): Promise<StepResult> {
      const { maxEvents, maxBytes } = size
      const taken = source.readBatch({ maxEvents, maxBytes })
      if (!taken) return 'nothing'
      lastStart = performance.now()
      if (taken.events.length === 0) {
        source.advance(taken)
        return 'large batch'
      }
      const batch = await tryOn(() => batchOf(taken))
      if (!batch) return 'nothing'
      const bytes = batch.records.reduce((sum, { value }) => sum + value.length, 0)
      const isOver = (part: number) =>
        batch.records.length >= maxEvents * part || bytes >= maxBytes * part
      /** Once the batch is on its way: that is when there is nothing else to do. */
      const readAhead = async () => {
        await rest()
        try {
          source.readAhead?.(taken, { maxEvents, maxBytes })
        } catch {
          // Whatever it is shows again when it is taken; nothing else may begin before this ends.
        }
      }
      const [done] = await Promise.all([deliver(taken, batch), isOver(0.5) && readAhead()])
      if (!done) return 'nothing'
      if (done === 'all') size.acknowledged(isOver(1), performance.now() - lastStart)
      return isOver(0.5) ? 'large batch' : 'small batch'
    },
  }
}

export type DeliveryOptions = {
  sink: Sender
  signal: AbortSignal
  circuit: CircuitBreaker
  /** It failed, and is tried again after a wait. */
  onUnavailable(reason: string, waitMs: number): void
}

/** Sends one batch, unchanged, until its fate is known; null when asked to end before. */
export function createDelivery(options: DeliveryOptions) {
  const tryOn = startTrying(options)
  return (batch: Batch) => tryOn(() => options.sink.send(batch))
}

/** Does it again while the sink is unavailable; null when asked to end before. */
function startTrying({ signal, circuit, onUnavailable }: Omit<DeliveryOptions, 'sink'>) {
  const isRetryable = (error: unknown) => error instanceof SinkUnavailable
  const options = { circuit, signal, isRetryable, onFailed: onUnavailable }
  return <D>(work: () => Promise<D>): Promise<D | null> => retryOrNull(work, options)
}
