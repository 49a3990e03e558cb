import { setImmediate as rest, setTimeout as sleep } from 'node:timers/promises'
import { pause } from '../../config/process/pause.ts'
import { includedPartitions } from '../../gateway/store/delivery/zone-filter.ts'
import type { Range } from '../../gateway/store/inbox.ts'
import type { RangeBatch } from '../../gateway/store/source/batch-reader.ts'
import type { Batch, EventSink, Fates } from '../ports/event-sink.ts'
import type { BacklogSplitter } from './backlog-split.ts'
import { createBatchSize } from './batch-size.ts'
import { createRejectionHandler, type DeliveryContext } from './context.ts'
import { createForwarder } from './forwarder.ts'
import { nullIfDiskIsFull, unlessDiskIsFull } from './full-disk.ts'

/** More partitions that fail at different times hold up the others: memory has a bound. */
const APART_MAX = 8
const LOOK_EVERY_MS = 50
/** The live events wait so long for partitions that have nearly come as far. */
const JOIN_WITHIN_MS = 250
const NEARLY_EVENTS = 5000

/** What was under way when it was set apart: it is sent first, as it is. */
type First = { taken: RangeBatch; batch: Batch }

/** Carries the partitions that are apart, each range with a sink of its own. */
export function startIsolatedPartitions(carrying: DeliveryContext, cutting: BacklogSplitter) {
  const { source } = carrying
  const carriers = new Map<number, ApartCarrier>()
  const reject = createRejectionHandler(carrying)
  let isTold = true
  const rejoin = (range: Range, mayCut: boolean) => {
    if (source.plan.lagOf(range) === 0) source.plan.mergeIsolated(range)
    else if (mayCut) {
      source.plan.deferIsolated(range, carrying.config.kafka.topics.backfill)
      isTold = false
    }
  }

  return {
    /**
     * Gives partitions a range of their own whose fate is not known, and has it carried with what
     * the sink hands over. False when there are too many, or it cannot be written.
     */
    begin(taken: RangeBatch, batch: Batch, fates: Fates, sink: EventSink): boolean {
      if (carriers.size >= APART_MAX || !source.plan.canIsolate(taken)) return false
      const open = batch.records.filter((_, index) => fates[index] === undefined)
      const partitions = [...new Set(open.map(({ partition }) => partition))]
      const range = nullIfDiskIsFull(() => {
        for (const [index, fate] of fates.entries()) {
          if (typeof fate === 'string') reject(taken.events[index]!, fate, taken)
        }
        return source.plan.isolate(taken, partitions)
      })
      if (!range) return false
      isTold = false
      const given = sink.isolate(batch)
      const events = taken.events.filter((_, index) => fates[index] === undefined)
      const first = { taken: { range, events, next: taken.next }, batch: given.batch }
      carriers.set(range.id, carryApart(carrying, range, given.sink, first))
      return true
    },
    /**
     * To be called between two batches: takes up ranges that are there, joins those that can be.
     */
    async keep(): Promise<void> {
      for (const range of source.plan.isolated) {
        const carrier = carriers.get(range.id)
        if (!carrier) {
          carriers.set(range.id, carryApart(carrying, range, carrying.openSink(), null))
          continue
        }
        if (carrier.isWell && source.plan.lagOf(range) < NEARLY_EVENTS) {
          await carrier.until(() => source.plan.lagOf(range) === 0, JOIN_WITHIN_MS)
        }
        const mayCut = carrier.isWell && (await cutting.mayCut(source.plan.backlogOf(range)))
        // Where it cannot be written, the range stays apart meanwhile.
        if (carrier.isAtRest) nullIfDiskIsFull(() => rejoin(range, mayCut))
      }
      if (!isTold) await carrying.flushNotes()
      isTold = true
      const there = new Set(source.plan.isolated.map(({ id }) => id))
      for (const [id, carrier] of carriers) {
        if (there.has(id)) continue
        carriers.delete(id)
        await carrier.end()
      }
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await Promise.all([...carriers.values()].map(carrier => carrier.end()))
    },
  }
}

/** The name of their flow. */
export function partitionsText(partitions: readonly number[]): string {
  return `partition${partitions.length === 1 ? '' : 's'} ${partitions.join(', ')}`
}

type ApartCarrier = ReturnType<typeof carryApart>

function carryApart(
  carrying: DeliveryContext,
  range: Range,
  sink: EventSink & AsyncDisposable,
  first: First | null,
) {
  const { config, source, metrics, flows, framing: frame } = carrying
  const ending = new AbortController()
  const signal = AbortSignal.any([carrying.signal, ending.signal])
  const flow = flows.begin(partitionsText(includedPartitions(range)))
  const forwarder = createForwarder<RangeBatch>({
    ...{ sink, signal, framing: frame, circuit: flow.circuit, onUnavailable: flow.unavailable },
    source: source.isolated(range.id),
    size: createBatchSize(config.bridge),
    lingerMs: config.bridge.lingerMs,
    onRejected: createRejectionHandler(carrying),
    onDelivered: (_, batch) => {
      metrics.delivered(batch)
      flow.available()
    },
  })
  let [isAtRest, hasStepped] = [false, false]
  const carry = async () => {
    const sendFirst = async () => first && (await forwarder.deliver(first.taken, first.batch))
    await unlessDiskIsFull(sendFirst, null, flow.unavailable)
    while (!signal.aborted) {
      isAtRest = false
      const did = await unlessDiskIsFull(forwarder.step, 'nothing', flow.unavailable)
      ;[isAtRest, hasStepped] = [true, true]
      if (did !== 'nothing') await rest()
      else await pause(LOOK_EVERY_MS, signal)
    }
  }
  const running = carry()
  return {
    /** Nothing is under way. */
    get isAtRest() {
      return isAtRest
    },
    /** It delivers. */
    get isWell() {
      return hasStepped && flow.circuit.state === 'closed'
    },
    /** Resolves when it is at rest and `holds`, or after `timeoutMs`. */
    async until(holds: () => boolean, timeoutMs: number): Promise<void> {
      const giveUpMs = performance.now() + timeoutMs
      while (!(isAtRest && holds()) && performance.now() < giveUpMs) await sleep(1)
    },
    async end(): Promise<void> {
      ending.abort()
      await running
      flow.remove()
      await sink[Symbol.asyncDispose]()
    },
  }
}
