import { setImmediate as rest } from 'node:timers/promises'
import { pause } from '../../config/process/pause.ts'
import { isReplay } from '../../gateway/store/delivery/range-kind.ts'
import type { StoredEvent } from '../../gateway/store/groups/group-codec.ts'
import type { Range } from '../../gateway/store/inbox.ts'
import type { Note } from '../../gateway/store/notes/note-kinds.ts'
import type { RangeBatch } from '../../gateway/store/source/batch-reader.ts'
import { explainUnavailable, topicFault } from '../partitions/topic-check.ts'
import type { Batch } from '../ports/event-sink.ts'
import { createBatchSize } from './batch-size.ts'
import { createRejectionHandler, type DeliveryContext, eventNumbers } from './context.ts'
import { createForwarder } from './forwarder.ts'
import { unlessDiskIsFull } from './full-disk.ts'
import type { LiveStatus } from './live-delivery.ts'

const LOOK_EVERY_MS = 200
/** Live events that never pause leave a turn in so long. */
const TURN_AT_LEAST_MS = 5000

/**
 * Carries what goes behind live events until asked to end: each backlog in order, then each replay,
 * in what the live events leave of the time and in no more than the bandwidth for it.
 */
export async function deliverBackfill(carrying: DeliveryContext, live: LiveStatus): Promise<void> {
  const { config, source, inbox, metrics, flows, signal } = carrying
  const topic = config.kafka.topics.backfill
  const flow = flows.begin('behind')
  const needed = () => Math.max(...source.ranges.map(({ partitions }) => partitions))
  const pacing = createRateLimit(config.bridge.backfill.maxBytesPerSecond)
  const { redirect } = source.backfill
  await using sink = carrying.openSink()
  const reject = createRejectionHandler(carrying)
  const forwarder = createForwarder<RangeBatch>({
    source: source.backfill,
    sink: explainUnavailable(sink, name => topicFault(name, needed(), carrying.partitionsOf)),
    ...{
      signal,
      framing: carrying.framing,
      circuit: flow.circuit,
      onUnavailable: flow.unavailable,
    },
    size: createBatchSize(config.bridge.backfill),
    lingerMs: config.bridge.lingerMs,
    onRejected: (event, reason, taken) => {
      const { range } = taken
      if (isReplay(range)) inbox.addNotes([notReplayed(event, reason, range)])
      else reject(event, reason, taken)
    },
    onDelivered: ({ range }, batch) => {
      if (isReplay(range)) metrics.replayed(batch)
      else metrics.delivered(batch)
      pacing.sent(bytesOf(batch))
      flow.available()
    },
  })
  let turnMs = performance.now()
  const step = async () => {
    redirect(topic)
    const mayGo = !live.isBusy || performance.now() - turnMs > TURN_AT_LEAST_MS
    if (!mayGo) return 'nothing'
    turnMs = performance.now()
    return forwarder.step()
  }
  while (!signal.aborted) {
    const did = await unlessDiskIsFull(step, 'nothing', flow.unavailable)
    // Where nothing is of the zone, nothing was waited for.
    if (did !== 'nothing') await rest()
    const restMs = did === 'nothing' ? LOOK_EVERY_MS : pacing.restMs
    if (restMs > 0) await pause(restMs, signal)
    if (did === 'small batch') await forwarder.pace()
  }
}

const bytesOf = ({ records }: Batch) => records.reduce((sum, { value }) => sum + value.length, 0)

/** It was delivered, or refused and noted, before: so this is no hole, and no dead letter. */
function notReplayed(event: StoredEvent, reason: string, range: Range): Note {
  const { sequence, zone } = event
  const span = { from: sequence, to: sequence, range: range.id, store: range.store.toString('hex') }
  const which = { ...span, asked: range.reason, zone, ...eventNumbers(event) }
  return { kind: 'not replayed', content: { ...which, reason } }
}

/** Keeps to a bandwidth: tells after each batch how long to rest. Null: no limit. */
export function createRateLimit(maxBytesPerSecond: number | null, nowMs = () => performance.now()) {
  let freeAtMs = Number.NEGATIVE_INFINITY
  return {
    sent(bytes: number): void {
      if (maxBytesPerSecond === null) return
      // Time that was not used is not saved up: it would end in a burst.
      freeAtMs = Math.max(freeAtMs, nowMs()) + (bytes * 1000) / maxBytesPerSecond
    },
    get restMs(): number {
      return Math.max(0, freeAtMs - nowMs())
    },
  }
}
