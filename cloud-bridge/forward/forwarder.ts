import { setImmediate as yieldToOthers } from 'node:timers/promises'
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
 * Undelivered events of one range, oldest first, and the position of the range after them. `events`
 * is empty when the groups that were read contain no event of the range.
 */
export type PendingBatch = {
  range: { id: number; topic: string; partitions: number }
  events: readonly { sequence: number; zone: string; value: Buffer }[]
  next: number
}

/**
 * `readBatch` returns the oldest undelivered events and does not remove them. `advance` moves the
 * position of the range past the batch, only after Kafka acknowledged the batch's events; the new
 * position is durable within a second, or at close. The optional `readAhead` prepares the events of
 * the next `readBatch`.
 */
export type BatchSource<T extends PendingBatch = PendingBatch> = {
  readBatch(limits: { maxEvents: number; maxBytes: number }): T | null
  readAhead?(pending: T, limits: { maxEvents: number; maxBytes: number }): void
  advance(pending: T): void
}

export type ForwarderOptions<T extends PendingBatch> = DeliveryOptions & {
  source: BatchSource<T>
  framing: Framing
  size: BatchSize
  /** The shortest time between the starts of two small batches. */
  lingerMs: number
  /**
   * Called when Kafka rejects an event for good; must write the event's notes durably before it
   * returns.
   */
  onRejected(event: T['events'][number], reason: string, pending: T): void
  /** Called with those records of the batch that Kafka has stored. */
  onDelivered(pending: T, batch: Batch): void
  /** How partitions that delay the others are isolated; without this option all events wait. */
  isolation?: {
    /** How long a partition may delay the others, in ms. */
    afterMs: number
    /**
     * Durably gives the events of unknown fate a range of their own, and writes notes for the
     * rejected events. Returns false when isolating is not possible now; then nothing is changed
     * and all events wait.
     */
    isolate(pending: T, batch: Batch, fates: Fates): boolean
  }
}

type BatchSize = Pick<ReturnType<typeof createBatchSize>, 'maxEvents' | 'maxBytes' | 'acknowledged'>

export type StepResult = 'small batch' | 'large batch' | 'nothing'

/**
 * The loop body of every delivery: read a batch, send it until its fate is known, advance its
 * range. `step` returns the size of the delivered batch: after a large batch more events probably
 * wait.
 */
export function createForwarder<T extends PendingBatch>(options: ForwarderOptions<T>) {
  const { source, size, sink, isolation, signal } = options
  const partitioners = new Map<number, ReturnType<typeof createPartitioner>>()
  const retrying = createRetrying(options)
  let lastStartMs = Number.NEGATIVE_INFINITY

  const batchOf = async ({ range, events }: T): Promise<Batch> => {
    const partitioner = partitioners.get(range.partitions) ?? createPartitioner(range.partitions)
    partitioners.set(range.partitions, partitioner)
    const framed = await options.framing(range.topic, events)
    // Creates one object per event: a second object would cost as much as reading the event.
    const records = events.map(({ zone }, index): OutgoingRecord => {
      const { key, partition } = partitioner(zone)
      return { key, partition, value: framed.values[index]!, headers: framed.headers[index]! }
    })
    return { topic: range.topic, records }
  }
  const reportDelivered = (pending: T, batch: Batch, fates: Fates) => {
    const isStored = (_: unknown, index: number) => fates[index] === null
    if (batch.records.every(isStored)) options.onDelivered(pending, batch)
    else if (batch.records.some(isStored)) {
      options.onDelivered(pending, { topic: batch.topic, records: batch.records.filter(isStored) })
    }
  }
  /**
   * Sends a batch until the fate of each record is known, or the records of unknown fate are
   * isolated. Resolves with null when `signal` aborts before.
   */
  const deliver = (pending: T, batch: Batch) => {
    let stuckSinceMs: number | null = null
    return retrying(async (): Promise<'all' | 'the rest'> => {
      try {
        const fates = await sink.send(batch)
        for (const [index, reason] of fates.entries()) {
          if (reason !== null) options.onRejected(pending.events[index]!, reason, pending)
        }
        source.advance(pending)
        reportDelivered(pending, batch, fates)
        return 'all'
      } catch (error) {
        const fates = error instanceof SinkUnavailable ? error.fates : null
        if (!isolation || !fates?.some(fate => fate !== undefined)) throw error
        stuckSinceMs ??= performance.now()
        const isStuck = performance.now() - stuckSinceMs >= isolation.afterMs
        if (!isStuck || !isolation.isolate(pending, batch, fates)) throw error
        reportDelivered(pending, batch, fates)
        return 'the rest'
      }
    })
  }

  return {
    deliver,
    /**
     * Waits until the next send may start, at most `lingerMs`: two small batches start at least
     * `lingerMs` apart. When the last send started less than 2 × `lingerMs` ago, also awaits
     * `waitForCommit` for the rest of `lingerMs`, so that the next batch contains the next commit
     * too.
     */
    async pace(waitForCommit?: (withinMs: number) => Promise<void>): Promise<void> {
      const { lingerMs } = options
      const sinceMs = performance.now() - lastStartMs
      const waitMs = Math.max(0, lingerMs - sinceMs)
      if (waitMs > 0) await pause(waitMs, signal)
      if (sinceMs < 2 * lingerMs) await waitForCommit?.(lingerMs - waitMs)
    },
    async step(): Promise<StepResult> {
      const { maxEvents, maxBytes } = size
      const pending = source.readBatch({ maxEvents, maxBytes })
      if (!pending) return 'nothing'
      lastStartMs = performance.now()
      if (pending.events.length === 0) {
        source.advance(pending)
        return 'large batch'
      }
      const batch = await retrying(() => batchOf(pending))
      if (!batch) return 'nothing'
      const bytes = batch.records.reduce((sum, { value }) => sum + value.length, 0)
      const isOver = (fraction: number) =>
        batch.records.length >= maxEvents * fraction || bytes >= maxBytes * fraction
      /** Runs while the batch is in flight, when this thread would be idle. */
      const readAhead = async () => {
        await yieldToOthers()
        try {
          source.readAhead?.(pending, { maxEvents, maxBytes })
        } catch {
          // The next readBatch throws the same error. A rejection here would let the next step
          // start before this batch's delivery ends.
        }
      }
      const [result] = await Promise.all([deliver(pending, batch), isOver(0.5) && readAhead()])
      if (!result) return 'nothing'
      if (result === 'all') size.acknowledged(isOver(1), performance.now() - lastStartMs)
      return isOver(0.5) ? 'large batch' : 'small batch'
    },
  }
}

export type DeliveryOptions = {
  sink: Sender
  signal: AbortSignal
  circuit: CircuitBreaker
  /** An attempt failed; the next attempt starts after `waitMs`. */
  onUnavailable(reason: string, waitMs: number): void
}

/** Sends a batch, unchanged, until its fate is known; null when `signal` aborts before. */
export function createDelivery(options: DeliveryOptions) {
  const retrying = createRetrying(options)
  return (batch: Batch) => retrying(() => options.sink.send(batch))
}

/** Retries work while the sink is unavailable; null when `signal` aborts before it succeeds. */
function createRetrying({ signal, circuit, onUnavailable }: Omit<DeliveryOptions, 'sink'>) {
  const isRetryable = (error: unknown) => error instanceof SinkUnavailable
  const options = { circuit, signal, isRetryable, onFailed: onUnavailable }
  return <D>(work: () => Promise<D>): Promise<D | null> => retryOrNull(work, options)
}
