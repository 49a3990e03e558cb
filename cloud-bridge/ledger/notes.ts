import { decodeRuns } from '../../gateway/store/sequence/spans.ts'
import type { PartitionCountChange } from './partition-moves.ts'

/** Why numbers are gone: what was decided or found, and which zone sequences it concerns. */
export type Explanation = {
  kind: ExplainingKind
  reason: string
  /** Sequences, both included. */
  from: number
  to: number
  /** Null where the note does not say: then the sequences tell. */
  epoch: number | null
  zones: ZoneRange[]
  /** Where only some of the sequences are meant: which. */
  spans?: Span[]
  at: number
}

type Span = { from: number; to: number }

export type ZoneRange = { zone: string; first: number; count: number }

/** How far an epoch had come: its last sequence and its zones' last zone sequences. */
export type Heads = { epoch: number; lastSequence: number; zones: [zone: string, last: number][] }

/**
 * Where a note comes from: the outbox it tells of, as hex, its number among the notes, when the
 * gateway wrote it by its own clock, and when Kafka got it (ms since 1970).
 */
type Facts = { gateway: string; store: string; sequence: number; at: number; heardAt: number }

/**
 * Numbers of an outbox that come later than what stands behind them, and the number of the note
 * that says so; `to` null: no end yet. A backlog goes to a topic of its own.
 */
export type DeferredRange = { note: number; from: number; to: number | null; isBacklog: boolean }

/** A note of the ledger topic as the ledger understands it. */
export type LedgerNote = Facts &
  (
    | { kind: 'epoch'; epoch: number; firstSequence: number; previous: Heads | null }
    | { kind: 'heads'; heads: Heads }
    | { kind: 'explanation'; explanation: Explanation | null; lostNotes: LostNotes[] }
    /** `teller` is the file that says so, whose note `sequence` this is. */
    | { kind: 'behind'; teller: string; behind: DeferredRange }
    | { kind: 'caught up'; teller: string; behind: DeferredRange }
    | { kind: 'contact'; teller: string; behind: DeferredRange[] }
    | { kind: 'spread'; spread: PartitionCountChange }
    | ({ kind: 'clock' } & ClockCorrection)
    | { kind: 'other' }
  )

/** Sequences of an epoch whose `receivedAt` was off: by so many ms, to be added. */
export type ClockCorrection = { epoch: number; from: number; to: number; offsetMs: number }

/** Notes that will never arrive, by their numbers; what they said is not known. */
export type LostNotes = { origin: string; from: number; to: number; reason: string }

/** Kinds that explain, the most telling first: it is named where several explain a number. */
export const EXPLAINING_KINDS = [
  'rejected',
  'tombstone',
  'quarantine',
  'unreadable',
  'hole',
  'jump',
] as const
type ExplainingKind = (typeof EXPLAINING_KINDS)[number]

/** Whether a note's content cannot be trusted: all that a damaged one still has is why. */
export const isUnreadableContent = (content: object) => Object.keys(content).join() === 'reason'

/** Reads a value of the ledger topic that Kafka got then; null when it is not a note of ours. */
export function decodeNote(value: Buffer, heardAt: number): LedgerNote | null {
  const note = parse(value)
  if (!isGroup(note) || !isGroup(note.content)) return null
  const { gateway, store, sequence, at, kind, origin, content } = note
  if (typeof gateway !== 'string' || typeof store !== 'string' || typeof origin !== 'string') {
    return null
  }
  if (!isWhole(sequence) || typeof at !== 'number' || typeof kind !== 'string') return null
  // What the bridge found is in a store of its own and names the outbox in its content.
  const outbox = typeof content.store === 'string' ? content.store : store
  const facts = { gateway, store: outbox, sequence, at, heardAt }
  if (isUnreadableContent(content)) {
    const lost = { origin, from: sequence, to: sequence, reason: String(content.reason) }
    return { ...facts, kind: 'explanation', explanation: null, lostNotes: [lost] }
  }
  if (kind === 'epoch') return readEpoch(facts, content)
  if (kind === 'contact') {
    const all = Array.isArray(content.behind) ? content.behind : []
    const behind = all.flatMap(one => (isGroup(one) && readBehind(one.behind, one)) || [])
    return { ...facts, kind, teller: store, behind }
  }
  if (kind === 'clock') return readRetimed(facts, content)
  if (kind === 'spread') return readSpread(facts, content)
  if (kind === 'behind' || kind === 'caught up') {
    const behind = readBehind(kind === 'behind' ? sequence : content.behind, content)
    return behind && { ...facts, kind, teller: store, behind }
  }
  if (kind === 'heads') {
    const heads = readHeads(content)
    return heads && { ...facts, kind, heads }
  }
  const lostNotes = readLostNotes(kind, origin, content)
  const explanation = readExplanation(kind, at, content)
  if (lostNotes.length > 0 || explanation) {
    return { ...facts, kind: 'explanation', explanation, lostNotes }
  }
  const hasRange = isExplaining(kind) && content.from !== undefined
  return hasRange ? null : { ...facts, kind: 'other' }
}

function readEpoch(facts: Facts, content: Record<string, unknown>): LedgerNote | null {
  const { epoch, firstSequence, previous } = content
  if (!isWhole(epoch) || !isWhole(firstSequence)) return null
  return { ...facts, kind: 'epoch', epoch, firstSequence, previous: readHeads(previous) }
}

function readBehind(
  note: unknown,
  { from, to, why }: Record<string, unknown>,
): DeferredRange | null {
  if (!isWhole(note) || !isWhole(from) || !(to === null || isWhole(to))) return null
  return { note, from, to, isBacklog: why === 'backlog' }
}

function readRetimed(facts: Facts, content: Record<string, unknown>): LedgerNote | null {
  const { epoch, from, to, offsetMs } = content
  if (!isWhole(epoch) || !isWhole(from) || !isWhole(to) || !isWhole(offsetMs)) return null
  return { ...facts, kind: 'clock', epoch, from, to, offsetMs }
}

function readSpread(facts: Facts, content: Record<string, unknown>): LedgerNote | null {
  const { behind, partitions } = content
  const { from, to } = isGroup(partitions) ? partitions : {}
  if (!isWhole(behind) || !isWhole(from) || !isWhole(to)) return null
  return {
    ...facts,
    kind: 'spread',
    spread: { afterSequence: behind, from, to, note: facts.sequence },
  }
}

function readHeads(content: unknown): Heads | null {
  if (!isGroup(content)) return null
  const { epoch, lastSequence, zones } = content
  if (!isWhole(epoch) || !isWhole(lastSequence) || !Array.isArray(zones)) return null
  const known = zones.filter(
    (zone): zone is [string, number] =>
      Array.isArray(zone) && typeof zone[0] === 'string' && isWhole(zone[1]),
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
  const one = kind === 'rejected'
  const [from, to] = one ? [sequence, sequence] : [content.from, content.to]
  if (!isWhole(from) || !isWhole(to) || to < from) return null
  const zones = one ? [[zone, zoneSequence, 1]] : content.zones
  const spans = decodeRuns(content.numbers)
  return {
    kind,
    reason: typeof content.reason === 'string' ? content.reason : '',
    from,
    to,
    // A hole may reach over epochs that only the lost part of the store knew.
    epoch: isWhole(epoch) && kind !== 'hole' ? epoch : null,
    zones: (Array.isArray(zones) ? zones : []).flatMap(readZone),
    ...(spans.length > 0 && { spans }),
    at,
  }
}

/** All ways of writing a zone's ranges: as a group of keys, and as a list of one or of more. */
function readZone(range: unknown): ZoneRange[] {
  const [zone, ...runs] = Array.isArray(range)
    ? range
    : isGroup(range)
      ? [range.zone, range.first, range.count]
      : []
  if (typeof zone !== 'string') return []
  return decodeRuns(runs).map(({ from, to }) => ({ zone, first: from, count: to - from + 1 }))
}

/** Notes that Kafka refuses, that the bridge did not find, or that a healed outbox lacks. */
function readLostNotes(
  kind: string,
  origin: string,
  content: Record<string, unknown>,
): LostNotes[] {
  const { sequence, notes, lostNotes } = content
  const reason = String(content.reason)
  if (kind === 'rejected note' && isWhole(sequence)) {
    return [{ origin: String(content.origin), from: sequence, to: sequence, reason }]
  }
  // The bridge tells of both files, and writes to one.
  const lostOf = kind === 'jump' && typeof content.origin === 'string' ? content.origin : origin
  const ranges = { hole: [notes], jump: [notes], salvage: lostNotes }[kind]
  return (Array.isArray(ranges) ? ranges : []).flatMap(range => {
    const { from, to } = isGroup(range) ? range : {}
    return isWhole(from) && isWhole(to) ? [{ origin: lostOf, from, to, reason }] : []
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
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value)
const isGroup = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
