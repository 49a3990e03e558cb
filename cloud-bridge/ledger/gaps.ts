import { IntervalSet } from '../interval-set.ts'
import { type EpochLedger, type EpochZone, firstZoneSequenceOf } from './epoch.ts'
import type { ExpiryCheck } from './expiry.ts'
import {
  type ExplainedRange,
  explainedSegments,
  type GapCause,
  type GapFate,
  type GapSegment,
  segmentsBetween,
  unseenSegments,
} from './gap-segments.ts'
import { matchZones, sequenceBoundsOf, type ZoneGapSegment } from './zone-matching.ts'

/**
 * Numbers that were given out and are not in Kafka: zone sequences, or sequences where `zone` is
 * null. Between `timeFrom` and `timeTo` (ms since 1970; null: unknown) they were accepted.
 */
export type ReportedGap = {
  gateway: string
  epoch: number | null
  zone: string | null
  from: number
  to: number
  timeFrom: number | null
  timeTo: number | null
  reason: string
  fate: GapFate
}

/** By what unexplained numbers are judged. */
export type GapCriteria = {
  /** Sequences above this one may still be on their way. */
  awaitedAbove: number
  /** Sequences that come later than what stands behind them. */
  behind: IntervalSet
  isExpired: ExpiryCheck
}

export type EpochGaps = {
  holes: Omit<ReportedGap, 'gateway'>[]
  /** The first sequence that is neither seen nor explained; Infinity when there is none. */
  firstOpen: number
}

const because = (fate: GapFate, reason: string): GapCause => ({ fate, reason, note: null })
const MISSING = because('missing', 'no note explains it')
const AWAITED = because('awaited', 'a note names it, and it may be on its way')
const BEHIND = because('behind', 'it goes to Kafka behind newer events')
const EXPIRED = because('expired', 'Kafka may have deleted it by now')
const isBehind = ({ why }: GapSegment) => why?.fate === 'behind'
const isOpen = ({ why }: GapSegment) => ['missing', 'awaited', 'behind'].includes(why?.fate ?? '')

/** Names what an epoch lacks: by zone, and by sequence where no zone is known. */
export function findGaps(
  epoch: EpochLedger,
  explained: readonly ExplainedRange[],
  judging: GapCriteria,
): EpochGaps {
  const { begun, seen } = epoch
  const { head } = epoch.claims
  const first = begun?.first ?? seen.lowest ?? 1
  const since = begun?.at ?? null
  const span = { begun, end: head?.at ?? null, store: epoch.store }
  const isExpired = (piece: GapSegment, zone: string | null) => judging.isExpired(piece, span, zone)
  const sequences = unseenSegments(
    seen,
    first,
    head?.lastSequence ?? 0,
    explainedSegments(explained),
  ).flatMap(piece => judge(piece, isExpired(piece, null), judging))
  // Which partition a number was in, and so whether it is deleted, is known with its zone.
  const inZone = (piece: GapSegment, zone: ZoneGapSegment) =>
    isOpen(piece) && !isBehind(piece) && isExpired(piece, zone.zone)
      ? { ...piece, why: EXPIRED }
      : piece
  const { told, withoutZone } = matchZones(sequences, zonesOf(epoch, explained), inZone)
  const zones = told
    .map(piece => settle(piece, isExpired(piece, piece.zone)))
    .sort((a, b) => (a.zone === b.zone ? a.from - b.from : a.zone < b.zone ? -1 : 1))
  const toHole = ({
    zone = null,
    from,
    to,
    before,
    after,
    why,
  }: GapSegment & { zone?: string | null }) => ({
    epoch: epoch.epoch,
    zone,
    from,
    to,
    timeFrom: before?.at ?? since,
    timeTo: after?.at ?? head?.at ?? why!.note?.at ?? null,
    reason: why!.reason,
    fate: why!.fate,
  })
  // A zone may lack a number although no sequence is missing: then where it must be is open.
  const firstOpenOf = (zone: ZoneGapSegment) => {
    const [above, below] = sequenceBoundsOf(zone)
    const may = zone.isAlone ? [] : segmentsBetween(sequences, above, below)
    return may.find(piece => isOpen(inZone(piece, zone)))?.from ?? above + 1
  }
  const open = [
    ...withoutZone.filter(isOpen).map(({ from }) => from),
    ...zones.filter(isOpen).map(firstOpenOf),
  ]
  const firstOpen = open.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  return { holes: [...zones, ...withoutZone].map(toHole), firstOpen }
}

/**
 * Sequences that no note explains: some come later, old ones may be expired, the newest be on their
 * way.
 */
function judge(
  piece: GapSegment,
  isExpired: boolean,
  { behind, awaitedAbove }: GapCriteria,
): GapSegment[] {
  if (piece.why) return [piece]
  const others = behind.gaps(piece.from, piece.to)
  const parts = others.flatMap(({ from, to }) => {
    if (isExpired) return [{ ...piece, from, to, why: EXPIRED }]
    const last = Math.min(to, awaitedAbove)
    return [
      { ...piece, from, to: last, why: MISSING },
      { ...piece, from: Math.max(from, last + 1), to, why: AWAITED },
    ]
  })
  const behindParts = gapsBetween(piece, others).map(span => ({ ...piece, ...span, why: BEHIND }))
  return [...parts, ...behindParts]
    .filter(part => part.from <= part.to)
    .sort((a, b) => a.from - b.from)
}

/** What of a piece lies outside of these parts of it. */
function gapsBetween({ from, to }: GapSegment, parts: readonly { from: number; to: number }[]) {
  const taken = new IntervalSet()
  for (const part of parts) taken.addRange(part.from, part.to)
  return taken.gaps(from, to).map(gap => ({ from: gap.from, to: gap.to }))
}

/** What each zone lacks, explained where a note names its numbers. */
function zonesOf(epoch: EpochLedger, explained: readonly ExplainedRange[]): ZoneGapSegment[] {
  const byZone = new Map<string, ExplainedRange[]>()
  for (const { explanation } of explained) {
    for (const { zone, first, count } of explanation.zones) {
      const all = byZone.get(zone) ?? []
      byZone.set(zone, all)
      all.push({ from: first, to: first + count - 1, explanation })
    }
  }
  // A zone of which nothing came at all; or it is forgotten, because all of it came.
  const others = epoch.isTrimmed ? [] : [...byZone.keys()].filter(zone => !epoch.zones.has(zone))
  const nothing: EpochZone = { seen: new IntervalSet(), head: 0, first: 1 }
  const all = [...epoch.zones, ...others.map(name => [name, nothing] as const)]
  return all.flatMap(([zone, { seen, head, ...rest }]) => {
    const segments = explainedSegments(byZone.get(zone) ?? [])
    const pieces = unseenSegments(
      seen,
      firstZoneSequenceOf({ seen, head, ...rest }),
      head,
      segments,
    )
    return pieces.map(piece => ({ ...piece, zone }))
  })
}

/** The last word on what a zone lacks: nothing it has behind it can be on its way before it. */
function settle(piece: ZoneGapSegment, isExpired: boolean): ZoneGapSegment {
  const { why, after } = piece
  const isMissing = why?.fate === 'missing'
  const isLate = why?.fate === 'awaited' && after !== undefined
  if (why && !isMissing && !isLate) return piece
  if (isExpired) return { ...piece, why: EXPIRED }
  return isMissing ? piece : { ...piece, why: MISSING }
}
