import type { NoteKind, UncheckedContent } from '../../../gateway/store/notes/note-kinds.ts'
import { decodeRuns } from '../../../gateway/store/sequence/spans.ts'
import type { LostNotes } from './named-lost-notes.ts'
import type { PartitionCountChange } from './partition-moves.ts'

/** Why events are gone: the decision or finding of a note, and the zone sequences concerned. */
export type Explanation = {
  kind: ExplainingKind
  reason: string
  /** Sequences, both included. */
  from: number
  to: number
  /** Null when the note does not say; the sequences then identify the epoch. */
  epoch: number | null
  zones: ZoneRange[]
  /** The sequences that the note explains, when they are only a part of `from` to `to`. */
  spans?: Span[]
  at: number
  /** The run that wrote the note; null when the note does not say. */
  run: number | null
}

type Span = { from: number; to: number }

export type ZoneRange = { zone: string; first: number; count: number }

/** The end of an epoch: its last sequence and the last zone sequence of each zone. */
export type Heads = { epoch: number; lastSequence: number; zones: [zone: string, last: number][] }

/**
 * The facts about a note: `file` is the id of the file that contains the note, `origin` the kind of
 * that file, `store` the id of the outbox concerned (ids in hex), `run` the epoch of the run that
 * wrote the note (null in notes of earlier versions), and `sequence` the note's number.
 * `isReadable`: the file stored the note undamaged. `at` is the time by the writer's clock,
 * `appendTimeMs` the append time; both are ms since 1970.
 */
type NoteHeader = {
  gateway: string
  file: string
  origin: string
  store: string
  run: number | null
  sequence: number
  at: number
  appendTimeMs: number
  isReadable: boolean
}

/**
 * Events of an outbox that arrive after newer events, and the number of the note that says so; `to`
 * null: no end yet. A backlog goes to a topic of its own.
 */
export type DeferredRange = { note: number; from: number; to: number | null; isBacklog: boolean }

/** A note of the ledger topic as the ledger understands it. */
export type LedgerNote = NoteHeader & NoteMeaning

type NoteMeaning =
  | { kind: 'epoch'; epoch: number; firstSequence: number; previous: Heads | null }
  | { kind: 'heads'; heads: Heads }
  | { kind: 'explanation'; explanation: Explanation | null; lostNotes: LostNotes[] }
  /** `inbox` is the id of the inbox that wrote the note, in hex. */
  | { kind: 'behind'; inbox: string; deferred: DeferredRange }
  | { kind: 'caught up'; inbox: string; deferred: DeferredRange }
  | { kind: 'contact'; inbox: string; deferred: DeferredRange[] }
  | { kind: 'spread'; spread: PartitionCountChange }
  | ({ kind: 'clock' } & ClockCorrection)
  /** An operator declares that nothing more comes from these stores, and why. */
  | { kind: 'retired'; stores: string[]; reason: string }
  | { kind: 'other' }

/** Sequences of an epoch whose `receivedAt` was wrong; `offsetMs` is to be added. */
export type ClockCorrection = { epoch: number; from: number; to: number; offsetMs: number }

/**
 * The kinds that explain gaps. Of several kinds that explain a number, the report names the first.
 */
export const EXPLAINING_KINDS = [
  'rejected',
  'tombstone',
  'quarantine',
  'unreadable',
  'hole',
  'jump',
] as const
type ExplainingKind = (typeof EXPLAINING_KINDS)[number]

/** Whether a note was damaged: its content is then only the reason. */
export const isUnreadableContent = (content: object) => Object.keys(content).join() === 'reason'

/** Decodes a value of the ledger topic; null when the value is not a note of this program. */
export function decodeNote(value: Buffer, appendTimeMs: number): LedgerNote | null {
  const note = parse(value)
  if (!isObject(note) || !isObject(note.content)) return null
  const { gateway, store, sequence, at, kind, origin, content } = note
  if (typeof gateway !== 'string' || typeof store !== 'string' || typeof origin !== 'string') {
    return null
  }
  if (!isInteger(sequence) || typeof at !== 'number' || typeof kind !== 'string') return null
  // The `store` of a bridge's note is the id of the inbox; the note's content names the outbox.
  const outbox = typeof content.store === 'string' ? content.store : store
  const run = isInteger(note.run) ? note.run : null
  const isReadable = !isUnreadableContent(content)
  const facts = { gateway, file: store, origin, store: outbox, run }
  const header = { ...facts, sequence, at, appendTimeMs, isReadable }
  if (!isReadable) {
    const lost = { origin, from: sequence, to: sequence, reason: String(content.reason) }
    return { ...header, kind: 'explanation', explanation: null, lostNotes: [lost] }
  }
  // A newer program may write kinds that are unknown here.
  if (!Object.hasOwn(READERS, kind)) return { ...header, kind: 'other' }
  const meaning = READERS[kind as NoteKind](content, { file: store, origin, run, sequence, at })
  return meaning && { ...header, ...meaning }
}

/**
 * `file` is the id of the file that contains the note, in hex; `origin` says which kind of file
 * that is: outbox or inbox.
 */
type NoteFacts = { file: string; origin: string; run: number | null; sequence: number; at: number }

/** Returns null when the content does not have the form of its kind. */
type Reader<Kind extends NoteKind> = (
  content: UncheckedContent<Kind>,
  note: NoteFacts,
) => NoteMeaning | null

const OTHER: NoteMeaning = { kind: 'other' }
const ignore = () => OTHER

/** How the ledger understands each kind of note. */
const READERS: { [Kind in NoteKind]: Reader<Kind> } = {
  epoch: readEpoch,
  heads(content) {
    const heads = readHeads(content)
    return heads && { kind: 'heads', heads }
  },
  hole: (content, note) =>
    readGap('hole', content, note, skippedNotesIn(content.notes, note.origin, content.reason)),
  tombstone: (content, note) => readGap('tombstone', content, note),
  clock: readClockCorrection,
  deadletter: ignore,
  retried: ignore,
  dropped: ignore,
  quarantine: (content, note) => readGap('quarantine', content, note),
  salvage({ lostNotes, reason }, { origin }) {
    const lost = lostNotesIn(lostNotes, origin, reason)
    if (lost.length === 0) return OTHER
    return { kind: 'explanation', explanation: null, lostNotes: lost }
  },
  behind(content, { file: inbox, sequence }) {
    const deferred = readDeferred(sequence, content)
    return deferred && { kind: 'behind', inbox, deferred }
  },
  'caught up'(content, { file: inbox }) {
    const deferred = readDeferred(content.behind, content)
    return deferred && { kind: 'caught up', inbox, deferred }
  },
  contact({ behind }, { file: inbox }) {
    const entries = Array.isArray(behind) ? behind : []
    const deferred = entries.flatMap(
      entry => (isObject(entry) && readDeferred(entry.behind, entry)) || [],
    )
    return { kind: 'contact', inbox, deferred }
  },
  spread: readPartitionCountChange,
  rejected({ sequence, zone, zoneSequence, ...content }, note) {
    if (!isInteger(sequence)) return OTHER
    const gap = { from: sequence, to: sequence, zones: [[zone, zoneSequence, 1]] }
    return readGap('rejected', { ...content, ...gap }, note)
  },
  'rejected note'({ origin, sequence, reason }) {
    if (!isInteger(sequence)) return OTHER
    const lost = { origin: String(origin), from: sequence, to: sequence, reason: String(reason) }
    return { kind: 'explanation', explanation: null, lostNotes: [lost] }
  },
  jump(content, note) {
    // The content names the file whose notes are lost; the jump note itself is in the inbox in
    // either case.
    const origin = typeof content.origin === 'string' ? content.origin : note.origin
    return readGap('jump', content, note, lostNotesIn([content.notes], origin, content.reason))
  },
  unreadable: (content, note) => readGap('unreadable', content, note),
  'not replayed': ignore,
  retired: ({ stores, reason }) => ({
    kind: 'retired',
    stores: (Array.isArray(stores) ? stores : []).filter(store => typeof store === 'string'),
    reason: String(reason),
  }),
  rehearsed: ignore,
}

function readEpoch({ epoch, firstSequence, previous }: UncheckedContent<'epoch'>) {
  if (!isInteger(epoch) || !isInteger(firstSequence)) return null
  return { kind: 'epoch', epoch, firstSequence, previous: readHeads(previous) } as const
}

function readDeferred(
  note: unknown,
  { from, to, why }: UncheckedContent<'caught up'>,
): DeferredRange | null {
  if (!isInteger(note) || !isInteger(from) || !(to === null || isInteger(to))) return null
  return { note, from, to, isBacklog: why === 'backlog' }
}

function readClockCorrection({ epoch, from, to, offsetMs }: UncheckedContent<'clock'>) {
  if (!isInteger(epoch) || !isInteger(from) || !isInteger(to) || !isInteger(offsetMs)) return null
  return { kind: 'clock', epoch, from, to, offsetMs } as const
}

function readPartitionCountChange(
  { behind, partitions }: UncheckedContent<'spread'>,
  { sequence: note }: NoteFacts,
) {
  const { from, to } = isObject(partitions) ? partitions : {}
  if (!isInteger(behind) || !isInteger(from) || !isInteger(to)) return null
  return { kind: 'spread', spread: { afterSequence: behind, from, to, note } } as const
}

function readHeads(content: unknown): Heads | null {
  if (!isObject(content)) return null
  const { epoch, lastSequence, zones } = content
  if (!isInteger(epoch) || !isInteger(lastSequence) || !Array.isArray(zones)) return null
  const known = zones.filter(
    (zone): zone is [string, number] =>
      Array.isArray(zone) && typeof zone[0] === 'string' && isInteger(zone[1]),
  )
  return { epoch, lastSequence, zones: known }
}

/** The fields that explain a gap, of all kinds that do. */
type GapFields = UncheckedContent<'hole' | 'tombstone' | 'quarantine' | 'unreadable' | 'jump'>

/** Reads a note about missing events, missing notes or both. */
function readGap(
  kind: ExplainingKind,
  content: GapFields,
  { at, run }: NoteFacts,
  lostNotes: LostNotes[] = [],
): NoteMeaning | null {
  const explanation = readExplanation(kind, content, { at, run })
  if (explanation || lostNotes.length > 0) return { kind: 'explanation', explanation, lostNotes }
  return content.from === undefined ? OTHER : null
}

function readExplanation(
  kind: ExplainingKind,
  content: GapFields,
  { at, run }: Pick<NoteFacts, 'at' | 'run'>,
): Explanation | null {
  const { epoch, from, to, zones, numbers, reason } = content
  if (!isInteger(from) || !isInteger(to) || to < from) return null
  const spans = decodeRuns(numbers)
  return {
    kind,
    reason: typeof reason === 'string' ? reason : '',
    from,
    to,
    // A hole may span epochs that only the lost part of the outbox knew.
    epoch: isInteger(epoch) && kind !== 'hole' ? epoch : null,
    zones: (Array.isArray(zones) ? zones : []).flatMap(readZone),
    ...(spans.length > 0 && { spans }),
    at,
    run,
  }
}

/** Reads both forms of a zone's ranges: an object with one range, and a list of runs. */
function readZone(range: unknown): ZoneRange[] {
  const [zone, ...runs] = Array.isArray(range)
    ? range
    : isObject(range)
      ? [range.zone, range.first, range.count]
      : []
  if (typeof zone !== 'string') return []
  return decodeRuns(runs).map(({ from, to }) => ({ zone, first: from, count: to - from + 1 }))
}

/** Spans of note numbers that are lost for good, in the file that `origin` names. */
function lostNotesIn(spans: unknown, origin: string, reason: unknown): LostNotes[] {
  return (Array.isArray(spans) ? spans : []).flatMap(span => {
    const { from, to } = isObject(span) ? span : {}
    return isInteger(from) && isInteger(to) ? [{ origin, from, to, reason: String(reason) }] : []
  })
}

const skippedNotesIn = (span: unknown, origin: string, reason: unknown): LostNotes[] =>
  lostNotesIn([span], origin, reason).map(lost => ({ ...lost, isSkipped: true }))

function parse(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString())
  } catch {
    return null
  }
}

const isInteger = (value: unknown): value is number => Number.isSafeInteger(value)
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
