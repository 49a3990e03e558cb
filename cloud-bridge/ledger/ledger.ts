import type { SensorReading } from '../../config/event/sensor-reading.ts'
import { createEpochLedger, type EpochLedger } from './epoch.ts'
import { addDeferralNote, type DeferralLedger } from './notes/deferred.ts'
import { addExplanation } from './notes/explanations.ts'
import type { Explanation, LedgerNote, LostNotes } from './notes/notes.ts'
import { addPartitionCountChange, type PartitionCountChange } from './notes/partition-moves.ts'

/** The fields of an event that the ledger needs. */
export type LedgerEvent = Pick<
  SensorReading,
  'gateway' | 'epoch' | 'sequence' | 'zone' | 'zoneSequence' | 'receivedAt'
> & {
  /** Ms since 1970. */
  appendTimeMs: number
  /** The event's partition in the readings topic; undefined for an event of another topic. */
  partition?: number | undefined
}

/**
 * For each partition of a topic, the append time (ms since 1970) of the oldest record that Kafka
 * still has. Retention deleted the records before it; -Infinity where nothing was deleted. A
 * partition without records has no entry.
 */
export type LogStarts = ReadonlyMap<number, number>

/** The account of one gateway; it grows with gaps, zones and restarts, not with events. */
export type GatewayLedger = {
  gateway: string
  epochs: Map<number, EpochLedger>
  /** By the id of the outbox, because a note names numbers of its outbox and seldom the epoch. */
  explanations: Map<string, Explanation[]>
  lostNotes: (LostNotes & { store: string })[]
  /** The deferred ranges of each outbox, by the id of the outbox. */
  deferrals: Map<string, DeferralLedger>
  /** The changes of the partition count for each outbox, by the id of the outbox. */
  partitionCountChanges: Map<string, PartitionCountChange[]>
  /** Ms since 1970; null before the first event. */
  newestEventAppendTimeMs: number | null
  /** Ms since 1970; null before the first heartbeat. */
  newestHeartbeatAppendTimeMs: number | null
  /**
   * For each partition, when the gateway received the oldest of its events that Kafka still has
   * there (ms since 1970). Older events may be deleted.
   */
  oldestIn: Map<number, number>
  /** The partition of all events of a zone; null where they are in several partitions. */
  partitions: Map<string, number | null>
  events: number
  duplicates: number
  strange: number
}

/**
 * The proof of completeness. Accepts events and notes in any order, duplicates included;
 * `assessGateways` judges the account at any moment.
 */
export function createLedger() {
  const gateways = new Map<string, GatewayLedger>()
  const logStarts = new Map<number, number>()
  const backfillLogStarts = new Map<number, number>()

  const gatewayOf = (gateway: string): GatewayLedger => {
    const known = gateways.get(gateway) ?? createGatewayLedger(gateway)
    gateways.set(gateway, known)
    return known
  }

  return {
    gateways: gateways as ReadonlyMap<string, GatewayLedger>,
    /** The log starts of the readings topic. */
    logStarts: logStarts as LogStarts,
    /** The log starts of the backfill topic; Infinity where retention deleted every record. */
    backfillLogStarts: backfillLogStarts as LogStarts,
    /**
     * Sets the append time of a readings partition's oldest record; to be called before the
     * partition's events are added.
     */
    setLogStart(partition: number, appendTimeMs: number): void {
      logStarts.set(partition, appendTimeMs)
      for (const { oldestIn } of gateways.values()) oldestIn.delete(partition)
    },
    setBackfillLogStart(partition: number, appendTimeMs: number): void {
      backfillLogStarts.set(partition, appendTimeMs)
    },
    addEvent(event: LedgerEvent): void {
      const { epoch, sequence, zone, zoneSequence, receivedAt, appendTimeMs, partition } = event
      const known = gatewayOf(event.gateway)
      const position = { sequence, at: receivedAt, appendTimeMs }
      const result = epochOf(known, epoch).add(position, zone, zoneSequence)
      if (result === 'duplicate') known.duplicates++
      else known.events++
      if (result === 'strange') known.strange++
      known.newestEventAppendTimeMs = newest(known.newestEventAppendTimeMs, appendTimeMs)
      if (partition === undefined) return
      if (!known.oldestIn.has(partition)) known.oldestIn.set(partition, receivedAt)
      const isSame = (known.partitions.get(zone) ?? partition) === partition
      if (!isSame || !known.partitions.has(zone))
        known.partitions.set(zone, isSame ? partition : null)
    },
    addNote(note: LedgerNote): void {
      const { gateway, store, at, appendTimeMs, sequence } = note
      const origin = { at, appendTimeMs, note: sequence }
      const known = gatewayOf(gateway)
      if (note.kind === 'epoch') {
        const { epoch, firstSequence: first, previous } = note
        epochOf(known, epoch).setStart({ store, first, ...origin })
        if (previous) {
          const closed = epochOf(known, previous.epoch)
          closed.claim(previous, store, origin)
          closed.close()
        }
      } else if (note.kind === 'heads')
        epochOf(known, note.heads.epoch).claim(note.heads, store, origin)
      else if (note.kind === 'explanation') addExplanation(known, note)
      else if (note.kind === 'spread') {
        const changes = known.partitionCountChanges.get(store) ?? []
        known.partitionCountChanges.set(store, changes)
        addPartitionCountChange(changes, note.spread)
      } else if (note.kind !== 'other' && note.kind !== 'clock') addDeferralNote(known, note)
      if (note.kind !== 'epoch' && note.kind !== 'heads') return
      known.newestHeartbeatAppendTimeMs = newest(known.newestHeartbeatAppendTimeMs, appendTimeMs)
    },
  }
}

const createGatewayLedger = (gateway: string): GatewayLedger => ({
  gateway,
  epochs: new Map(),
  explanations: new Map(),
  lostNotes: [],
  deferrals: new Map(),
  partitionCountChanges: new Map(),
  newestEventAppendTimeMs: null,
  newestHeartbeatAppendTimeMs: null,
  oldestIn: new Map(),
  partitions: new Map(),
  events: 0,
  duplicates: 0,
  strange: 0,
})

function epochOf({ epochs }: GatewayLedger, epoch: number): EpochLedger {
  const known = epochs.get(epoch) ?? createEpochLedger(epoch)
  epochs.set(epoch, known)
  return known
}

const newest = (knownMs: number | null, ms: number) => Math.max(knownMs ?? ms, ms)
