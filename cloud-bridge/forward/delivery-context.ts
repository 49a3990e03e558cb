import type { Config } from '../../config/config.ts'
import { numbersIn } from '../../config/event/event-fields.ts'
import type { StoredEvent } from '../../gateway/store/groups/group-codec.ts'
import type { Inbox } from '../../gateway/store/inbox.ts'
import type { Note } from '../../gateway/store/notes/note-kinds.ts'
import type { RangeBatch } from '../../gateway/store/source/batch-reader.ts'
import type { EventSource } from '../../gateway/store/source/event-source.ts'
import type { BatchBoundary } from '../partitions/batch-boundary.ts'
import type { PartitionCounter } from '../partitions/topic-check.ts'
import type { EventSink, Framing } from '../ports/event-sink.ts'
import type { Flows } from '../retry/flow-status.ts'
import type { Rejections } from '../watch/rejections.ts'
import type { HotZones } from '../zones/hot-zones.ts'
import type { createBridgeMetrics } from './metrics.ts'

const DEAD_LETTER_MAX_BYTES = 512 * 1024

/** What the deliveries of live events, backfill, notes and isolated partitions share. */
export type DeliveryContext = {
  config: Pick<Config, 'bridge' | 'kafka'>
  source: EventSource
  inbox: Inbox
  framing: Framing
  /** Each delivery opens its own sink, because a sink has at most one send in flight. */
  openSink(): EventSink & AsyncDisposable
  partitionsOf: PartitionCounter
  metrics: ReturnType<typeof createBridgeMetrics>
  rejections: Pick<Rejections, 'add'>
  hotZones: HotZones
  flows: Flows
  /**
   * Sends waiting notes at once and waits for them: the ledger must read which events are deferred
   * before newer events arrive.
   */
  flushNotes(): Promise<void>
  /** Runs an operator's changes to the live range between two batches. */
  batchBoundary: BatchBoundary
  /** Called when `kafka.partitions` is not the number of partitions over which zones are spread. */
  onPartitionMismatch(reason: string): void
  signal: AbortSignal
}

/**
 * Returns the handler of an event that Kafka rejects for good: the handler writes the event's notes
 * durably, before the range advances.
 */
export function createRejectionHandler({ inbox, metrics, rejections }: DeliveryContext) {
  return (event: StoredEvent, reason: string, { range }: Pick<RangeBatch, 'range'>): void => {
    metrics.rejected()
    rejections.add({ topic: range.topic, kind: 'event', reason })
    inbox.addNotes(rejectionNotes(event, reason, range.store))
  }
}

/**
 * The first note names the event for the ledger; the second contains its bytes for the dead-letter
 * topic.
 */
function rejectionNotes(event: StoredEvent, reason: string, storeId: Buffer): Note[] {
  const { sequence, zone, value } = event
  const store = storeId.toString('hex')
  const content = { store, sequence, zone, ...eventNumbers(event), reason }
  // Kafka would reject a larger dead letter too, so the bytes of such an event stay only in the
  // outbox.
  const payload = value.length > DEAD_LETTER_MAX_BYTES ? null : value.toString('base64')
  return [
    { kind: 'rejected', content },
    { kind: 'deadletter', content: { ...content, place: 'kafka', payload } },
  ]
}

/**
 * An event's epoch and zone sequence, also when a newer program wrote the event under an unknown
 * schema. Both are null when the bytes do not contain them; the sequence alone identifies the event
 * as well.
 */
export function eventNumbers({ sequence, value }: StoredEvent) {
  const { sequence: encodedSequence, epoch, zoneSequence } = numbersIn(value)
  return encodedSequence === sequence
    ? { epoch, zoneSequence }
    : { epoch: null, zoneSequence: null }
}
