import { decodeRuns } from '../../gateway/store/sequence/spans.ts'
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
  /** The sequences concerned, when they are only a part of `from` to `to`. */
  spans?: Span[]
  at: number
}

type Span = { from: number; to: number }

export type ZoneRange = { zone: string; first: number; count: number }

/** The end of an epoch: its last sequence and the last zone sequence of each zone. */
export type Heads = { epoch: number; lastSequence: number; zones: [zone: string, last: number][] }

/**
 * The facts about a note: `store` is the id of the outbox concerned, in hex, and `sequence` the
 * number of the note. `at` is the time by the writer's clock, `appendTimeMs` the append time; both
 * are ms since 1970.
 */
type NoteHeader = {
  gateway: string
  store: string
  sequence: number
  at: number
  appendTimeMs: number
}

/**
 * Events of an outbox that arrive after newer events, and the number of the note that says so; `to`
 * null: no end yet. A backlog goes to a topic of its own.
 */
export type DeferredRange = { note: number; from: number; to: number | null; isBacklog: boolean }

/** A note of the ledger topic as the ledger understands it. */
export type LedgerNote = NoteHeader &
  (
    | { kind: 'epoch'; epoch: number; firstSequence: number; previous: Heads | null }
    | { kind: 'heads'; heads: Heads }
    | { kind: 'explanation'; explanation: Explanation | null; lostNotes: LostNotes[] }
    /** `inbox` is the id of the inbox that wrote the note, in hex. */
    | { kind: 'behind'; inbox: string; deferred: DeferredRange }
    | { kind: 'caught up'; inbox: string; deferred: DeferredRange }
    | { kind: 'contact'; inbox: string; deferred: DeferredRange[] }
    | { kind: 'spread'; spread: PartitionCountChange }
    | ({ kind: 'clock' } & ClockCorrection)
    | { kind: 'other' }
  )

/** Sequences of an epoch whose `receivedAt` was wrong; `offsetMs` is to be added. */
export type ClockCorrection = { epoch: number; from: number; to: number; offsetMs: number }

/** Numbers of notes that never arrive; their content is unknown. */
export type LostNotes = { origin: string; from: number; to: number; reason: string }

/** The kinds that explain gaps. Of several that explain a number, the report names the first. */
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

/** Decodes a value of the ledger topic; null when the value is not a note of ours. */
export function decodeNote(value: Buffer, appendTimeMs: number): LedgerNote | null {
  const note = parse(value)
  if (!isObject(note) || !isObject(note.content)) return null
  const { gateway, store, sequence, at, kind, origin, content } = note
  if (typeof gateway !== 'string' || typeof store !== 'string' || typeof origin !== 'string') {
    return null
  }
  if (!isInteger(sequence) || typeof at !== 'number' || typeof kind !== 'string') return null
  // A note of the bridge is in the bridge's own store and names the outbox in its content.
  const outbox = typeof content.store === 'string' ? content.store : store
  const header = { gateway, store: outbox, sequence, at, appendTimeMs }
  if (isUnreadableContent(content)) {
    const lost = { origin, from: sequence, to: sequence, reason: String(content.reason) }
    return { ...header, kind: 'explanation', explanation: null, lostNotes: [lost] }
  }
  if (kind === 'epoch') return readEpoch(header, content)
  if (kind === 'contact') {
    const entries = Array.isArray(content.behind) ? content.behind : []
    const deferred = entries.flatMap(
      entry => (isObject(entry) && readDeferred(entry.behind, entry)) || [],
    )
    return { ...header, kind, inbox: store, deferred }
  }
  if (kind === 'clock') return readClockCorrection(header, content)
  if (kind === 'spread') return readPartitionCountChange(header, content)
  if (kind === 'behind' || kind === 'caught up') {
    const deferred = readDeferred(kind === 'behind' ? sequence : content.behind, content)
    return deferred && { ...header, kind, inbox: store, deferred }
  }
  if (kind === 'heads') {
    const heads = readHeads(content)
    return heads && { ...header, kind, heads }
  }
  const lostNotes = readLostNotes(kind, origin, content)
  const explanation = readExplanation(kind, at, content)
  if (lostNotes.length > 0 || explanation) {
    return { ...header, kind: 'explanation', explanation, lostNotes }
  }
  const hasRange = isExplaining(kind) && content.from !== undefined
  return hasRange ? null : { ...header, kind: 'other' }
}

function readEpoch(header: NoteHeader, content: Record<string, unknown>): LedgerNote | null {
  const { epoch, firstSequence, previous } = content
  if (!isInteger(epoch) || !isInteger(firstSequence)) return null
  return { ...header, kind: 'epoch', epoch, firstSequence, previous: readHeads(previous) }
}

function readDeferred(
  note: unknown,
  { from, to, why }: Record<string, unknown>,
): DeferredRange | null {
  if (!isInteger(note) || !isInteger(from) || !(to === null || isInteger(to))) return null
  return { note, from, to, isBacklog: why === 'backlog' }
}

function readClockCorrection(
  header: NoteHeader,
  content: Record<string, unknown>,
): LedgerNote | null {
  const { epoch, from, to, offsetMs } = content
  if (!isInteger(epoch) || !isInteger(from) || !isInteger(to) || !isInteger(offsetMs)) return null
  return { ...header, kind: 'clock', epoch, from, to, offsetMs }
}

function readPartitionCountChange(
  header: NoteHeader,
  content: Record<string, unknown>,
): LedgerNote | null {
  const { behind, partitions } = content
  const { from, to } = isObject(partitions) ? partitions : {}
  if (!isInteger(behind) || !isInteger(from) || !isInteger(to)) return null
  return {
    ...header,
    kind: 'spread',
    spread: { afterSequence: behind, from, to, note: header.sequence },
  }
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

function readExplanation(
  kind: string,
  at: number,
  content: Record<string, unknown>,
): Explanation | null {
  if (!isExplaining(kind)) return null
  const { sequence, zone, zoneSequence, epoch } = content
  const isSingle = kind === 'rejected'
  const [from, to] = isSingle ? [sequence, sequence] : [content.from, content.to]
  if (!isInteger(from) || !isInteger(to) || to < from) return null
  const zones = isSingle ? [[zone, zoneSequence, 1]] : content.zones
  const spans = decodeRuns(content.numbers)
  return {
    kind,
    reason: typeof content.reason === 'string' ? content.reason : '',
    from,
    to,
    // A hole may span epochs that only the lost part of the store knew.
    epoch: isInteger(epoch) && kind !== 'hole' ? epoch : null,
    zones: (Array.isArray(zones) ? zones : []).flatMap(readZone),
    ...(spans.length > 0 && { spans }),
    at,
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

/** Notes that Kafka rejected, that the bridge did not find, or that a recovered outbox lacks. */
function readLostNotes(
  kind: string,
  origin: string,
  content: Record<string, unknown>,
): LostNotes[] {
  const { sequence, notes, lostNotes } = content
  const reason = String(content.reason)
  if (kind === 'rejected note' && isInteger(sequence)) {
    return [{ origin: String(content.origin), from: sequence, to: sequence, reason }]
  }
  // A `jump` note of the bridge names the file whose notes are lost.
  const lostOrigin = kind === 'jump' && typeof content.origin === 'string' ? content.origin : origin
  const ranges = { hole: [notes], jump: [notes], salvage: lostNotes }[kind]
  return (Array.isArray(ranges) ? ranges : []).flatMap(range => {
    const { from, to } = isObject(range) ? range : {}
    return isInteger(from) && isInteger(to) ? [{ origin: lostOrigin, from, to, reason }] : []
  })
}

function parse(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString())
  } catch {
    return null
  }
}

const isExplaining = (kind: string): kind is ExplainingKind =>
  (EXPLAINING_KINDS as readonly string[]).includes(kind)
const isInteger = (value: unknown): value is number => Number.isSafeInteger(value)
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
