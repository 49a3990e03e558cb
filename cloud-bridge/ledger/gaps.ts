import { IntervalSet } from '../interval-set.ts'
import type { EpochLedger } from './epoch.ts'
import { type EpochZone, firstZoneSequenceOf } from './epoch-zones.ts'
import type { ExpiryCheck } from './expiry.ts'
import {
  type ExplainedRange,
  explainedSegments,
  type GapCause,
  type GapFate,
  type GapSegment,
  segmentsBetween,
  splitByBacklog,
  unseenSegments,
} from './gap-segments.ts'
import type { DeliveredBacklog } from './notes/deferred.ts'
import { LOST_BACKLOG, matchZones, sequenceBoundsOf, type ZoneGapSegment } from './zone-matching.ts'

/**
 * Numbers that the gateway assigned and that are not in Kafka, as `--json` prints them: zone
 * sequences, or sequences where `zone` is null. The gateway accepted them between `timeFrom` and
 * `timeTo` (ms since 1970; null: unknown).
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

/** How to judge numbers that no note explains. */
export type GapCriteria = {
  /** Sequences above this one can still be in flight. */
  awaitedAbove: number
  /** An event that Kafka stored before this moment (ms since 1970) has no predecessor in flight. */
  overdueBeforeMs: number
  /** An operator retired the store when the run had come to this sequence; 0 without. */
  retiredUpTo: number
  /** Sequences whose events go to Kafka after newer events. */
  deferred: IntervalSet
  /** The backlogs that were delivered to the backfill topic, in order and without overlap. */
  backlogs: readonly DeliveredBacklog[]
  isExpired: ExpiryCheck
}

export type EpochGaps = {
  gaps: Omit<ReportedGap, 'gateway'>[]
  /** The first sequence that is neither seen nor explained; Infinity when there is none. */
  firstOpen: number
}

const causeOf = (fate: GapFate, reason: string): GapCause => ({ fate, reason, note: null })
const MISSING = causeOf('missing', 'no note explains it')
const AWAITED = causeOf('awaited', 'a note names it, and it may still be on its way')
const DEFERRED = causeOf('behind', 'it goes to Kafka after newer events')
const OVERDUE = causeOf('missing', 'it did not arrive in time, and no note explains it')
const RETIRED = causeOf('retired', 'an operator retired its store')
const EXPIRED = causeOf('expired', 'Kafka may have deleted it by now')
const isDeferred = ({ cause }: GapSegment) => cause?.fate === 'behind'
const isOpen = ({ cause }: GapSegment) =>
  ['missing', 'awaited', 'behind'].includes(cause?.fate ?? '')

/** Lists the numbers that an epoch lacks: by zone, and by sequence where the zone is unknown. */
export function findGaps(
  epoch: EpochLedger,
  explained: readonly ExplainedRange[],
  criteria: GapCriteria,
): EpochGaps {
  const { start, seen } = epoch
  const { head } = epoch.claims
  const first = start?.first ?? firstOfUnknownStart(epoch)
  const facts = { start, end: head?.at ?? null, store: epoch.store }
  const isExpired = (segment: GapSegment, zone: string | null) =>
    criteria.isExpired(segment, facts, zone)
  // A number between two seen events was assigned, even if no note claims the later event.
  const last = epoch.reach
  const sequences = unseenSegments(seen, first, last, explainedSegments(explained))
    .flatMap(segment => splitByBacklog(segment, criteria.backlogs))
    .flatMap(segment => judge(segment, isExpired(segment, null), criteria))
  // The zone determines the partition, and so whether Kafka may have deleted the event.
  const inZone = (segment: GapSegment, { zone }: ZoneGapSegment) =>
    isOpen(segment) && !isDeferred(segment) && isExpired(segment, zone)
      ? { ...segment, cause: EXPIRED }
      : segment
  const { matched, withoutZone } = matchZones(sequences, zoneGapsOf(epoch, explained), inZone)
  const zones = matched
    .map(segment => judgeZoneGap(segment, isExpired(segment, segment.zone)))
    .sort((a, b) => (a.zone === b.zone ? a.from - b.from : a.zone < b.zone ? -1 : 1))
  const toReported = (segment: GapSegment & { zone?: string | null }) => {
    const { zone = null, from, to, before, after } = segment
    const cause = segment.cause!
    const timeFrom = before?.at ?? start?.at ?? null
    const timeTo = after?.at ?? head?.at ?? cause.note?.at ?? null
    const { reason, fate } = cause
    return { epoch: epoch.epoch, zone, from, to, timeFrom, timeTo, reason, fate }
  }
  // A zone can lack a number although no sequence is missing: then the sequence of the lacking
  // event is uncertain.
  const firstOpenOf = (zone: ZoneGapSegment) => {
    const [above, below] = sequenceBoundsOf(zone)
    const possible = zone.isUnmatched ? [] : segmentsBetween(sequences, above, below)
    return possible.find(segment => isOpen(inZone(segment, zone)))?.from ?? above + 1
  }
  const open = [
    ...withoutZone.filter(isOpen).map(({ from }) => from),
    ...zones.filter(isOpen).map(firstOpenOf),
  ]
  const firstOpen = open.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  return { gaps: [...zones, ...withoutZone].map(toReported), firstOpen }
}

/**
 * The lowest sequence that an epoch without its first note can have had: the zone sequences that
 * the zones lack at their beginning belong to sequences before the lowest one seen.
 */
function firstOfUnknownStart({ seen, zones }: EpochLedger): number {
  const { lowest = 1 } = seen
  const lacking = [...zones.all.values()].reduce(
    (sum, zone) => sum + Math.max(0, (zone.seen.lowest ?? 1) - firstZoneSequenceOf(zone)),
    0,
  )
  return Math.max(1, lowest - lacking)
}

/**
 * Splits an unexplained segment into retired, deferred, expired, missing and awaited sequences.
 * Returns an explained segment unchanged.
 */
function judge(segment: GapSegment, isExpired: boolean, criteria: GapCriteria): GapSegment[] {
  if (segment.cause) return [segment]
  const { deferred, awaitedAbove, overdueBeforeMs, retiredUpTo } = criteria
  const settled = isExpired ? EXPIRED : RETIRED
  const retired = { ...segment, to: Math.min(segment.to, retiredUpTo), cause: settled }
  const rest = { ...segment, from: Math.max(segment.from, retiredUpTo + 1) }
  const others = deferred.gaps(rest.from, rest.to)
  const isOverdue = (segment.after?.appendTimeMs ?? Number.POSITIVE_INFINITY) < overdueBeforeMs
  const otherParts = others.flatMap(({ from, to }) => {
    if (isExpired) return [{ ...rest, from, to, cause: EXPIRED }]
    // The note that ends a backlog is written after Kafka has stored the last event.
    if (rest.backlog) return [{ ...rest, from, to, cause: LOST_BACKLOG }]
    const last = Math.min(to, awaitedAbove)
    const late = isOverdue ? OVERDUE : AWAITED
    return [
      { ...rest, from, to: last, cause: MISSING },
      { ...rest, from: Math.max(from, last + 1), to, cause: late },
    ]
  })
  const deferredParts = rangesOutside(rest, others).map(range => ({
    ...rest,
    ...range,
    cause: DEFERRED,
  }))
  return [retired, ...otherParts, ...deferredParts]
    .filter(part => part.from <= part.to)
    .sort((a, b) => a.from - b.from)
}

/** The ranges of a segment that are in none of `parts`. */
function rangesOutside({ from, to }: GapSegment, parts: readonly { from: number; to: number }[]) {
  const covered = new IntervalSet()
  for (const part of parts) covered.addRange(part.from, part.to)
  return covered.gaps(from, to).map(gap => ({ from: gap.from, to: gap.to }))
}

/** The numbers that each zone lacks, with a cause where a note names them. */
function zoneGapsOf(epoch: EpochLedger, explained: readonly ExplainedRange[]): ZoneGapSegment[] {
  const byZone = new Map<string, ExplainedRange[]>()
  for (const { explanation } of explained) {
    for (const { zone, first, count } of explanation.zones) {
      const ranges = byZone.get(zone) ?? []
      byZone.set(zone, ranges)
      ranges.push({ from: first, to: first + count - 1, explanation })
    }
  }
  // Zones that only notes name. In a trimmed epoch such a zone can have been complete and be
  // forgotten.
  const { all, isTrimmed } = epoch.zones
  const others = isTrimmed ? [] : [...byZone.keys()].filter(zone => !all.has(zone))
  const empty: EpochZone = { seen: new IntervalSet(), head: 0, first: 1 }
  const zones = [...all, ...others.map(name => [name, empty] as const)]
  return zones.flatMap(([name, zone]) => {
    const segments = explainedSegments(byZone.get(name) ?? [])
    const last = Math.max(zone.head, zone.seen.highest ?? 0)
    const unseen = unseenSegments(zone.seen, firstZoneSequenceOf(zone), last, segments)
    return unseen.map(segment => ({ ...segment, zone: name }))
  })
}

/**
 * The final judgement on a zone's gap. A number cannot be in flight when a later number of its zone
 * is in Kafka, because a zone's events are sent in order.
 */
function judgeZoneGap(segment: ZoneGapSegment, isExpired: boolean): ZoneGapSegment {
  const { cause, after } = segment
  const isMissing = cause?.fate === 'missing'
  const isOvertaken = cause?.fate === 'awaited' && after !== undefined
  if (cause && !isMissing && !isOvertaken) return segment
  if (cause?.reason === LOST_BACKLOG.reason) return segment
  if (isExpired) return { ...segment, cause: EXPIRED }
  return isMissing ? segment : { ...segment, cause: MISSING }
}
