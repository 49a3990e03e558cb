import { setImmediate as yieldToOthers } from 'node:timers/promises'
import { pause } from '../../config/process/pause.ts'
import { includedPartitions } from '../../gateway/store/delivery/zone-filter.ts'
import type { Range } from '../../gateway/store/inbox.ts'
import type { RangeBatch } from '../../gateway/store/source/batch-reader.ts'
import type { Batch, EventSink, Fates } from '../ports/event-sink.ts'
import type { BacklogSplitter } from './backlog-split.ts'
import { createBatchSize } from './batch-size.ts'
import { createRejectionHandler, type DeliveryContext } from './delivery-context.ts'
import { createForwarder } from './forwarder.ts'
import { nullIfDiskIsFull, unlessDiskIsFull } from './full-disk.ts'

/**
 * Limits the memory: while this many isolated ranges are delivered, a partition that fails next is
 * not isolated and delays the live events.
 */
const DELIVERIES_MAX = 8
const POLL_EVERY_MS = 50
/**
 * Live events wait at most this long for an isolated range that has nearly caught up, so that the
 * range can merge with the live range.
 */
const MERGE_WITHIN_MS = 250
const NEARLY_EVENTS = 5000

/**
 * The records that were in flight when their partitions were isolated; these records are sent
 * first, unchanged.
 */
type FirstBatch = { pending: RangeBatch; batch: Batch }

/** Delivers the events of isolated partitions; each range has a sink of its own. */
export function startIsolatedPartitions(context: DeliveryContext, splitter: BacklogSplitter) {
  const { source } = context
  const deliveries = new Map<number, IsolatedDelivery>()
  const onRejected = createRejectionHandler(context)
  let areNotesFlushed = true
  const mergeOrDefer = (range: Range, maySplit: boolean) => {
    if (source.plan.lagOf(range) === 0) source.plan.mergeIsolated(range)
    else if (maySplit) {
      source.plan.deferIsolated(range, context.config.kafka.topics.backfill)
      areNotesFlushed = false
    }
  }

  return {
    /**
     * Gives the partitions of unknown fate a range of their own, and delivers that range through
     * the sink that `sink` hands over. Returns false when too many ranges are isolated already,
     * when the batch's range cannot be split now, or when the inbox's disk is full.
     */
    isolate(pending: RangeBatch, batch: Batch, fates: Fates, sink: EventSink): boolean {
      if (deliveries.size >= DELIVERIES_MAX || !source.plan.canIsolate(pending)) return false
      const undecided = batch.records.filter((_, index) => fates[index] === undefined)
      const partitions = [...new Set(undecided.map(({ partition }) => partition))]
      const range = nullIfDiskIsFull(() => {
        for (const [index, fate] of fates.entries()) {
          if (typeof fate === 'string') onRejected(pending.events[index]!, fate, pending)
        }
        return source.plan.isolate(pending, partitions)
      })
      if (!range) return false
      areNotesFlushed = false
      const isolated = sink.isolate(batch)
      const events = pending.events.filter((_, index) => fates[index] === undefined)
      const first = { pending: { range, events, next: pending.next }, batch: isolated.batch }
      deliveries.set(range.id, startIsolatedDelivery(context, range, isolated.sink, first))
      return true
    },
    /**
     * Starts the delivery of isolated ranges that have none yet, merges the ranges that have caught
     * up, and defers those that lag too far; must be called between two batches.
     */
    async update(): Promise<void> {
      for (const range of source.plan.isolated) {
        const delivery = deliveries.get(range.id)
        if (!delivery) {
          deliveries.set(range.id, startIsolatedDelivery(context, range, context.openSink(), null))
          continue
        }
        if (delivery.isHealthy && source.plan.lagOf(range) < NEARLY_EVENTS) {
          await delivery.waitUntil(() => source.plan.lagOf(range) === 0, MERGE_WITHIN_MS)
        }
        const maySplit =
          delivery.isHealthy && (await splitter.maySplit(source.plan.backlogOf(range)))
        // While the inbox's disk is full, the range stays isolated.
        if (delivery.isIdle) nullIfDiskIsFull(() => mergeOrDefer(range, maySplit))
      }
      if (!areNotesFlushed) await context.flushNotes()
      areNotesFlushed = true
      const isolatedIds = new Set(source.plan.isolated.map(({ id }) => id))
      for (const [id, delivery] of deliveries) {
        if (isolatedIds.has(id)) continue
        deliveries.delete(id)
        await delivery.stop()
      }
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await Promise.all([...deliveries.values()].map(delivery => delivery.stop()))
    },
  }
}

/** The name of the flow of isolated partitions. */
export function partitionsText(partitions: readonly number[]): string {
  return `partition${partitions.length === 1 ? '' : 's'} ${partitions.join(', ')}`
}

type IsolatedDelivery = ReturnType<typeof startIsolatedDelivery>

function startIsolatedDelivery(
  context: DeliveryContext,
  range: Range,
  sink: EventSink & AsyncDisposable,
  first: FirstBatch | null,
) {
  const { config, source, metrics, flows, framing } = context
  const ending = new AbortController()
  const signal = AbortSignal.any([context.signal, ending.signal])
  const flow = flows.add(partitionsText(includedPartitions(range)))
  const forwarder = createForwarder<RangeBatch>({
    ...{ sink, signal, framing, circuit: flow.circuit, onUnavailable: flow.setWaiting },
    source: source.isolated(range.id),
    size: createBatchSize(config.bridge),
    lingerMs: config.bridge.lingerMs,
    onRejected: createRejectionHandler(context),
    onDelivered: (_, batch) => {
      metrics.delivered(batch)
      flow.setRunning()
    },
  })
  let [isIdle, hasStepped] = [false, false]
  const run = async () => {
    const sendFirst = async () => first && (await forwarder.deliver(first.pending, first.batch))
    await unlessDiskIsFull(sendFirst, null, flow.setWaiting)
    while (!signal.aborted) {
      isIdle = false
      const result = await unlessDiskIsFull(forwarder.step, 'nothing', flow.setWaiting)
      ;[isIdle, hasStepped] = [true, true]
      if (result !== 'nothing') await yieldToOthers()
      else await pause(POLL_EVERY_MS, signal)
    }
  }
  const running = run()
  return {
    /** No batch is in flight. */
    get isIdle() {
      return isIdle
    },
    /** The last attempt succeeded. */
    get isHealthy() {
      return hasStepped && flow.circuit.state === 'closed'
    },
    /** Resolves when the delivery is idle and `condition` holds, or after `timeoutMs`. */
    async waitUntil(condition: () => boolean, timeoutMs: number): Promise<void> {
      const deadlineMs = performance.now() + timeoutMs
      while (!(isIdle && condition()) && performance.now() < deadlineMs) await pause(1)
    },
    async stop(): Promise<void> {
      ending.abort()
      await running
      flow.remove()
      await sink[Symbol.asyncDispose]()
    },
  }
}
