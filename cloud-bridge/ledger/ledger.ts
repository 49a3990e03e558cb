import type { SensorReading } from '../../config/event/sensor-reading.ts'
import { type Conflict, createDuplicateCheck } from './duplicates.ts'
import { createEpochLedger, type EpochLedger } from './epoch.ts'
import { addDeferralNote, type DeferralLedger } from './notes/deferred.ts'
import { addExplanation } from './notes/explanations.ts'
import type { Explanation, Heads, LedgerNote, LostNotes } from './notes/notes.ts'
import { addPartitionCountChange, type PartitionCountChange } from './notes/partition-moves.ts'
import { createRetirements, type Retirements } from './runs/retirement.ts'
import { createRunTree, type RunTree } from './runs/run-tree.ts'

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

/** This many conflicting duplicates of a gateway are named. */
const CONFLICTS_MAX = 5

/** The account of one gateway; it grows with gaps, zones and restarts, not with events. */
export type GatewayLedger = {
  gateway: string
  epochs: Map<number, EpochLedger>
  /** By the id of the outbox, because a note names numbers of its outbox and seldom the epoch. */
  explanations: Map<string, Explanation[]>
  lostNotes: (LostNotes & { store: string; run: number | null })[]
  /** The deferred ranges of each outbox, by the id of the outbox. */
  deferrals: Map<string, DeferralLedger>
  /** The changes of the partition count for each outbox, by the id of the outbox. */
  partitionCountChanges: Map<string, PartitionCountChange[]>
  /** The runs of all gateways, because a store can change its gateway. */
  runs: RunTree
  /** The retired stores of all gateways. */
  retirements: Retirements
  /** The partitions of the ledger topic that have notes of this gateway. */
  notePartitions: Set<number>
  /**
   * For each partition and epoch, in the order of Kafka: when the gateway received the oldest event
   * that Kafka still has there (ms since 1970). Older events may be deleted.
   */
  oldestIn: Map<number, Map<number, number>>
  /** The partition of all events of a zone; null where they are in several partitions. */
  partitions: Map<string, number | null>
  events: number
  duplicates: number
  strange: number
  /** How many duplicates differ from the event that arrived first. */
  conflicting: number
  /** The first conflicting duplicates. */
  conflicts: Conflict[]
}

/**
 * The proof of completeness. Accepts events and notes in any order, duplicates included;
 * `assessGateways` judges the account at any moment.
 */
export function createLedger() {
  const gateways = new Map<string, GatewayLedger>()
  const logStarts = new Map<number, number>()
  const backfillLogStarts = new Map<number, number>()
  const noteLogStarts = new Map<number, number>()
  const runs = createRunTree()
  const retirements = createRetirements()

  const gatewayOf = (gateway: string): GatewayLedger => {
    const known = gateways.get(gateway) ?? createGatewayLedger(gateway, runs, retirements)
    gateways.set(gateway, known)
    return known
  }

  const duplicates = createDuplicateCheck(conflict => {
    const known = gatewayOf(conflict.gateway)
    known.conflicting++
    if (known.conflicts.length < CONFLICTS_MAX) known.conflicts.push(conflict)
  })

  return {
    /** Compares duplicates with the events that arrived first. */
    duplicates,
    gateways: gateways as ReadonlyMap<string, GatewayLedger>,
    /** The log starts of the readings topic. */
    logStarts: logStarts as LogStarts,
    /** The log starts of the backfill topic; Infinity where retention deleted every record. */
    backfillLogStarts: backfillLogStarts as LogStarts,
    /** The log starts of the ledger topic; Infinity where retention deleted every record. */
    noteLogStarts: noteLogStarts as LogStarts,
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
    setNoteLogStart(partition: number, appendTimeMs: number): void {
      noteLogStarts.set(partition, appendTimeMs)
    },
    addEvent(event: LedgerEvent): void {
      const { epoch, sequence, zone, zoneSequence, receivedAt, appendTimeMs, partition } = event
      const known = gatewayOf(event.gateway)
      const position = { sequence, at: receivedAt, appendTimeMs }
      const run = epochOf(known, epoch)
      const result = run.add(position, zone, zoneSequence)
      if (result !== 'duplicate') retirements.reach(run, sequence, appendTimeMs)
      duplicates.add(event, result === 'duplicate')
      if (result === 'duplicate') known.duplicates++
      else known.events++
      if (result === 'strange') known.strange++
      if (partition === undefined) return
      const oldest = known.oldestIn.get(partition) ?? new Map()
      if (!oldest.has(epoch)) known.oldestIn.set(partition, oldest.set(epoch, receivedAt))
      const isSame = (known.partitions.get(zone) ?? partition) === partition
      if (!isSame || !known.partitions.has(zone))
        known.partitions.set(zone, isSame ? partition : null)
    },
    /** `partition` is the note's partition in the ledger topic. */
    addNote(note: LedgerNote, partition = 0): void {
      if (note.kind === 'retired') {
        const all = [...gateways.values()].flatMap(({ epochs }) => [...epochs.values()])
        retirements.add(note, all)
        return
      }
      const known = gatewayOf(note.gateway)
      known.notePartitions.add(partition)
      // A run can write about the end of an earlier run under the gateway's former name.
      const { store, run, appendTimeMs } = note
      const isAboutOther = note.kind === 'heads' && run !== note.heads.epoch
      if (run !== null && !isAboutOther) epochOf(known, run).hear(store, appendTimeMs)
      if (note.kind === 'epoch' || note.kind === 'heads') addHeads(known, note)
      else if (note.kind === 'explanation') addExplanation(known, note)
      else if (note.kind === 'spread') {
        const changes = known.partitionCountChanges.get(note.store) ?? []
        known.partitionCountChanges.set(note.store, changes)
        addPartitionCountChange(changes, note.spread)
      } else if (note.kind !== 'other' && note.kind !== 'clock') addDeferralNote(known, note)
    },
  }
}

/** Adds the first note of a run, or a claim about a run. */
function addHeads(known: GatewayLedger, note: Extract<LedgerNote, { kind: 'epoch' | 'heads' }>) {
  const { store, at, appendTimeMs, sequence } = note
  const origin = { at, appendTimeMs, note: sequence }
  const claim = (heads: Heads, run: number) => {
    const epoch = epochOf(known, heads.epoch)
    known.runs.link(run, heads.epoch)
    epoch.claim(heads, store, run, origin)
    known.retirements.reach(epoch, heads.lastSequence, appendTimeMs)
  }
  if (note.kind === 'heads') return claim(note.heads, note.run ?? note.heads.epoch)
  const { epoch, firstSequence: first, previous } = note
  epochOf(known, epoch).setStart({ store, first, ...origin })
  known.runs.start(epoch, appendTimeMs)
  if (previous) claim(previous, epoch)
}

const createGatewayLedger = (
  gateway: string,
  runs: RunTree,
  retirements: Retirements,
): GatewayLedger => ({
  gateway,
  runs,
  retirements,
  notePartitions: new Set(),
  epochs: new Map(),
  explanations: new Map(),
  lostNotes: [],
  deferrals: new Map(),
  partitionCountChanges: new Map(),
  oldestIn: new Map(),
  partitions: new Map(),
  events: 0,
  duplicates: 0,
  strange: 0,
  conflicting: 0,
  conflicts: [],
})

function epochOf({ epochs }: GatewayLedger, epoch: number): EpochLedger {
  const known = epochs.get(epoch) ?? createEpochLedger(epoch)
  epochs.set(epoch, known)
  return known
}
