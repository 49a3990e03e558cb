import { setImmediate as yieldToOthers } from 'node:timers/promises'
import { pause } from '../../config/process/pause.ts'
import type { StoredEvent } from '../../gateway/store/groups/group-codec.ts'
import type { Range } from '../../gateway/store/inbox.ts'
import type { Note } from '../../gateway/store/notes/note-kinds.ts'
import type { RangeBatch } from '../../gateway/store/source/batch-reader.ts'
import { explainUnavailable, topicFault } from '../partitions/topic-check.ts'
import type { Batch } from '../ports/event-sink.ts'
import { createBatchSize } from './batch-size.ts'
import { createRejectionHandler, type DeliveryContext, eventNumbers } from './delivery-context.ts'
import { createForwarder } from './forwarder.ts'
import { unlessDiskIsFull } from './full-disk.ts'
import type { LiveStatus } from './live-delivery.ts'

const POLL_EVERY_MS = 200
/** While live events use the whole uplink, one backfill batch is still sent this often. */
const BATCH_AT_LEAST_EVERY_MS = 5000

/**
 * Delivers the backfill until `signal` aborts: each backlog in order, then each replay. Pauses
 * while live events need the whole uplink, and sends at most `bridge.backfill.maxBytesPerSecond`.
 */
export async function deliverBackfill(context: DeliveryContext, live: LiveStatus): Promise<void> {
  const { config, source, inbox, metrics, flows, signal } = context
  const topic = config.kafka.topics.backfill
  const flow = flows.add('behind')
  const partitionsNeeded = () => Math.max(...source.ranges.map(({ partitions }) => partitions))
  const faultOf = (name: string) => topicFault(name, partitionsNeeded(), context.partitionsOf)
  const rateLimit = createRateLimit(config.bridge.backfill.maxBytesPerSecond)
  const { redirect } = source.backfill
  await using sink = context.openSink()
  const onRejected = createRejectionHandler(context)
  const forwarder = createForwarder<RangeBatch>({
    source: source.backfill,
    sink: explainUnavailable(sink, faultOf),
    ...{ signal, framing: context.framing, circuit: flow.circuit, onUnavailable: flow.setWaiting },
    size: createBatchSize(config.bridge.backfill),
    lingerMs: config.bridge.lingerMs,
    onRejected: (event, reason, pending) => {
      const { range } = pending
      if (range.kind !== 'replay') return onRejected(event, reason, pending)
      context.rejections.add({ topic: range.topic, kind: 'replayed event', reason })
      inbox.addNotes([notReplayedNote(event, reason, range)])
    },
    onDelivered: ({ range }, batch) => {
      if (range.kind === 'replay') metrics.replayed(batch)
      else metrics.delivered(batch)
      rateLimit.sent(byteCount(batch))
      flow.setRunning()
    },
  })
  let lastStepMs = performance.now()
  const step = async () => {
    redirect(topic)
    const isOverdue = performance.now() - lastStepMs > BATCH_AT_LEAST_EVERY_MS
    if (live.isBusy && !isOverdue) return 'nothing'
    lastStepMs = performance.now()
    return forwarder.step()
  }
  while (!signal.aborted) {
    const result = await unlessDiskIsFull(step, 'nothing', flow.setWaiting)
    // A step that finds only events of other zones awaits no I/O: without this yield, a long run of
    // these steps would block the process.
    if (result !== 'nothing') await yieldToOthers()
    const waitMs = result === 'nothing' ? POLL_EVERY_MS : rateLimit.waitMs
    if (waitMs > 0) await pause(waitMs, signal)
    if (result === 'small batch') await forwarder.pace()
  }
}

const byteCount = ({ records }: Batch) => records.reduce((sum, { value }) => sum + value.length, 0)

/**
 * The note for a replayed event that Kafka rejects. The first delivery already stored the event in
 * Kafka or wrote its rejection notes, so the event is neither a gap nor a new dead letter.
 */
function notReplayedNote(event: StoredEvent, reason: string, range: Range): Note {
  const { sequence, zone } = event
  const span = { from: sequence, to: sequence, range: range.id, store: range.store.toString('hex') }
  const subject = { ...span, asked: range.reason, zone, ...eventNumbers(event) }
  return { kind: 'not replayed', content: { ...subject, reason } }
}

/**
 * Limits the rate of sent bytes. `waitMs` is how long to wait before the next batch; always 0 when
 * `maxBytesPerSecond` is null.
 */
export function createRateLimit(maxBytesPerSecond: number | null, nowMs = () => performance.now()) {
  let freeAtMs = Number.NEGATIVE_INFINITY
  return {
    sent(bytes: number): void {
      if (maxBytesPerSecond === null) return
      // Unused time is not saved up: saved time would allow a burst.
      freeAtMs = Math.max(freeAtMs, nowMs()) + (bytes * 1000) / maxBytesPerSecond
    },
    get waitMs(): number {
      return Math.max(0, freeAtMs - nowMs())
    },
  }
}
