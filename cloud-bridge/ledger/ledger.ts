import type { SensorReading } from '../../config/event/sensor-reading.ts'
import { type Conflict, createDuplicateCheck } from './duplicates.ts'
import { type AddResult, createEpochLedger, type EpochLedger } from './epoch.ts'
import { addDeferralNote, type DeferralLedger } from './notes/deferred.ts'
import { addExplanation } from './notes/explanations.ts'
import type { NamedLostNotes } from './notes/named-lost-notes.ts'
import { createNoteNumbers, type NoteNumbers } from './notes/note-numbers.ts'
import type { Explanation, Heads, LedgerNote } from './notes/notes.ts'
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

/** Tolerance between append times: of the brokers' clocks, and for notes and events in flight. */
export const APPEND_TIME_TOLERANCE_MS = 60_000

/** This many conflicting duplicates of a gateway are named. */
const CONFLICTS_MAX = 5

/** The account of one gateway; it grows with gaps, zones and restarts, not with events. */
export type GatewayLedger = {
  gateway: string
  epochs: Map<number, EpochLedger>
  /** By the id of the outbox, because a note names numbers of its outbox and seldom the epoch. */
  explanations: Map<string, Explanation[]>
  lostNotes: NamedLostNotes[]
  /** The note numbers of the files of all gateways. */
  noteNumbers: NoteNumbers
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
  const deadLetterLogStarts = new Map<number, number>()
  const noteNumbers = createNoteNumbers()
  let isBackfillRead = false
  const runs = createRunTree()
  const retirements = createRetirements()

  const gatewayOf = (gateway: string): GatewayLedger => {
    const known =
      gateways.get(gateway) ?? createGatewayLedger(gateway, { runs, retirements, noteNumbers })
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
    /**
     * The log starts of the backfill topic; Infinity where retention deleted every record.
     * Undefined when no such topic is read.
     */
    get backfillLogStarts(): LogStarts | undefined {
      return isBackfillRead ? backfillLogStarts : undefined
    },
    /** The log starts of the ledger topic; Infinity where retention deleted every record. */
    noteLogStarts: noteLogStarts as LogStarts,
    /** The log starts of the dead-letter topic; Infinity where retention deleted every record. */
    deadLetterLogStarts: deadLetterLogStarts as LogStarts,
    /** The numbers of all notes that arrived. */
    noteNumbers,
    /**
     * Sets the append time of a readings partition's oldest record; to be called before the
     * partition's events are added.
     */
    setLogStart(partition: number, appendTimeMs: number): void {
      logStarts.set(partition, appendTimeMs)
      for (const { oldestIn } of gateways.values()) oldestIn.delete(partition)
    },
    /** Records that the backfill topic is another topic than the readings topic, and is read. */
    expectBackfill(): void {
      isBackfillRead = true
    },
    setBackfillLogStart(partition: number, appendTimeMs: number): void {
      isBackfillRead = true
      backfillLogStarts.set(partition, appendTimeMs)
    },
    setNoteLogStart(partition: number, appendTimeMs: number): void {
      noteLogStarts.set(partition, appendTimeMs)
    },
    setDeadLetterLogStart(partition: number, appendTimeMs: number): void {
      deadLetterLogStarts.set(partition, appendTimeMs)
    },
    addEvent(event: LedgerEvent): void {
      const known = gatewayOf(event.gateway)
      duplicates.add(event, count(known, event) === 'duplicate')
      if (event.partition !== undefined) recordPlace(known, event, event.partition)
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
      addMeaning(known, note)
    },
  }
}

/** Adds an event to its run, and counts the event. */
function count(known: GatewayLedger, event: LedgerEvent): AddResult {
  const { epoch, sequence, zone, zoneSequence, receivedAt: at, appendTimeMs } = event
  const run = epochOf(known, epoch)
  const result = run.add({ sequence, at, appendTimeMs }, zone, zoneSequence)
  if (result === 'duplicate') known.duplicates++
  else {
    known.retirements.reach(run, sequence, appendTimeMs)
    known.events++
  }
  if (result === 'strange') known.strange++
  return result
}

/** Records in which partition a zone is, and the oldest event of each partition. */
function recordPlace(known: GatewayLedger, event: LedgerEvent, partition: number): void {
  const { epoch, zone, receivedAt } = event
  const oldest = known.oldestIn.get(partition) ?? new Map()
  if (!oldest.has(epoch)) known.oldestIn.set(partition, oldest.set(epoch, receivedAt))
  const isSame = (known.partitions.get(zone) ?? partition) === partition
  if (!isSame || !known.partitions.has(zone)) known.partitions.set(zone, isSame ? partition : null)
}

/** Adds a note with what the note says. */
function addMeaning(known: GatewayLedger, note: LedgerNote): void {
  if (note.kind === 'epoch' || note.kind === 'heads') addHeads(known, note)
  else if (note.kind === 'explanation') addExplanation(known, note)
  else if (note.kind === 'spread') {
    const changes = known.partitionCountChanges.get(note.store) ?? []
    known.partitionCountChanges.set(note.store, changes)
    addPartitionCountChange(changes, note.spread)
  } else if (note.kind !== 'other' && note.kind !== 'clock' && note.kind !== 'retired') {
    addDeferralNote(known, note)
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
  shared: Pick<GatewayLedger, 'runs' | 'retirements' | 'noteNumbers'>,
): GatewayLedger => ({
  gateway,
  ...shared,
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
