import type { Config } from '../../config/config.ts'
import { numbersIn } from '../../config/event/event-fields.ts'
import type { StoredEvent } from '../../gateway/store/groups/group-codec.ts'
import type { Inbox } from '../../gateway/store/inbox.ts'
import type { Note } from '../../gateway/store/notes/note-kinds.ts'
import type { RangeBatch } from '../../gateway/store/source/batch-reader.ts'
import type { EventSource } from '../../gateway/store/source/event-source.ts'
import type { BatchBoundary } from '../partitions/between-batches.ts'
import type { PartitionCounter } from '../partitions/topic-check.ts'
import type { EventSink, Framing } from '../ports/event-sink.ts'
import type { Flows } from '../retry/flow-status.ts'
import type { HotZones } from '../zones/hot-zones.ts'
import type { createBridgeMetrics } from './metrics.ts'

const DEAD_LETTER_MAX_BYTES = 512 * 1024

/** What all carriers work with. */
export type DeliveryContext = {
  config: Pick<Config, 'bridge' | 'kafka'>
  source: EventSource
  inbox: Inbox
  framing: Framing
  /** Each carrier has a sink of its own, because it takes one send at a time. */
  openSink(): EventSink & AsyncDisposable
  partitionsOf: PartitionCounter
  metrics: ReturnType<typeof createBridgeMetrics>
  hotZones: HotZones
  flows: Flows
  /** Has notes go at once: the ledger must hear what comes later before it sees what is newer. */
  flushNotes(): Promise<void>
  /** What an operator decides of the live events. */
  batchBoundary: BatchBoundary
  /** The configuration names another number of partitions than is in force. */
  onPartitionMismatch(reason: string): void
  signal: AbortSignal
}

/** An event that Kafka refuses for good is named in the ledger before its range passes it. */
export function createRejectionHandler({ inbox, metrics }: DeliveryContext) {
  return (event: StoredEvent, reason: string, { range }: Pick<RangeBatch, 'range'>): void => {
    metrics.rejected()
    inbox.addNotes(notesOfRejected(event, reason, range.store))
  }
}

/** For the ledger, which event it was; for the dead letters, its bytes. */
function notesOfRejected(event: StoredEvent, reason: string, id: Buffer): Note[] {
  const { sequence, zone, value } = event
  const which = { store: id.toString('hex'), sequence, zone, ...eventNumbers(event), reason }
  // One that Kafka would refuse as a dead letter too stays in the outbox alone.
  const payload = value.length > DEAD_LETTER_MAX_BYTES ? null : value.toString('base64')
  return [
    { kind: 'rejected', content: which },
    { kind: 'deadletter', content: { ...which, place: 'kafka', payload } },
  ]
}

/**
 * Which event of its epoch and zone it is, also when a newer program wrote it, whose schema is not
 * known here. Nulls where its bytes do not say so: the sequence alone tells the ledger, too.
 */
export function eventNumbers({ sequence, value }: StoredEvent) {
  const { sequence: found, epoch, zoneSequence } = numbersIn(value)
  return found === sequence ? { epoch, zoneSequence } : { epoch: null, zoneSequence: null }
}
