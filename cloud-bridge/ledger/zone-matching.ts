import { IntervalSet } from '../interval-set.ts'
import { type GapCause, type GapSegment, segmentsBetween, sizeOf } from './gap-segments.ts'

/**
 * Numbers that a zone lacks; `isUnmatched` when no unseen sequence is left that could belong to
 * them.
 */
export type ZoneGapSegment = GapSegment & { zone: string; isUnmatched?: boolean }

/** The cause of events of a delivered backlog that the backfill topic cannot have deleted. */
export const LOST_BACKLOG: GapCause = {
  ...{ fate: 'missing', reason: 'it went to the backfill topic, which has lost it', note: null },
}

/**
 * Limits the passes that search for certain matches; gaps that are left after them get one cause.
 */
const PASSES_MAX = 8

/**
 * Matches sequences that were not seen with the numbers that zones lack. An event has a sequence
 * and a zone sequence, and both rise. So the sequences of a zone's gap lie between the sequences of
 * the neighbours that were seen, and the cause of those sequences is the cause of the zone's gap.
 * `inZone` returns a segment with the cause that it has if its numbers belong to the zone. Returns
 * the zones' segments, with a cause unless no sequence is missing, and the sequences that belong to
 * no zone.
 */
export function matchZones(
  sequences: readonly GapSegment[],
  zoneGaps: readonly ZoneGapSegment[],
  inZone: (segment: GapSegment, zone: ZoneGapSegment) => GapSegment,
) {
  const assigned = new IntervalSet()
  const freeFor = (gap: ZoneGapSegment) =>
    segmentsBetween(sequences, ...sequenceBoundsOf(gap)).flatMap(part =>
      assigned.gaps(part.from, part.to).map(({ from, to }) => inZone({ ...part, from, to }, gap)),
    )
  const assign = (gap: ZoneGapSegment, parts = freeFor(gap)) => {
    let remaining = sizeOf(gap)
    const taken: GapSegment[] = []
    // A note names the sequences and the zone sequences of the same events.
    const isOwn = ({ cause }: GapSegment) => cause?.note != null && cause.note === gap.cause?.note
    for (const part of [...parts.filter(isOwn), ...parts.filter(part => !isOwn(part))]) {
      if (remaining === 0) break
      const last = Math.min(part.to, part.from + remaining - 1)
      assigned.addRange(part.from, last)
      taken.push({ ...part, to: last })
      remaining -= last - part.from + 1
    }
    return taken.sort((a, b) => a.from - b.from)
  }
  const matched = zoneGaps.filter(({ cause }) => cause)
  // Gaps are matched in ascending order of the highest sequence that they can have.
  for (const gap of matched.toSorted(byUpperBound)) assign(gap)
  let open = zoneGaps.filter(({ cause }) => !cause)
  const matchCertain = () => {
    for (let pass = 0, found = 1; found > 0 && pass < PASSES_MAX; pass++) {
      const uncertain = open.filter(gap => {
        const free = freeFor(gap)
        if (totalSizeOf(free) !== sizeOf(gap)) return true
        // Exactly as many sequences are free as the zone lacks, so they belong to the zone.
        matched.push(...splitByCause(gap, free))
        assign(gap)
        return false
      })
      found = open.length - uncertain.length
      open = uncertain
    }
  }
  matchCertain()
  // Kafka deletes each partition up to a moment of its own. A zone whose partition lost more has
  // more candidates, and so is matched later.
  const expiredFor = (gap: ZoneGapSegment) => freeFor(gap).filter(isExpired)
  const matchExpired = (gap: ZoneGapSegment) => {
    const expired = expiredFor(gap)
    if (totalSizeOf(expired) < sizeOf(gap)) return false
    matched.push({ ...gap, cause: expired[0]!.cause })
    assign(gap, expired)
    return true
  }
  const lastExpired = new Map(open.map(gap => [gap, expiredFor(gap).at(-1)?.to ?? 0]))
  const byLastExpired = open.toSorted((a, b) => lastExpired.get(a)! - lastExpired.get(b)!)
  const expiredGaps = new Set(byLastExpired.filter(matchExpired))
  open = open.filter(gap => !expiredGaps.has(gap))
  if (expiredGaps.size > 0) matchCertain()
  const judged = open.map(gap => withOneCause(gap, freeFor(gap)))
  for (const gap of judged.toSorted(byUpperBound)) {
    const free = freeFor(gap)
    const unsettled = free.filter(part => !isSettled(part))
    const isDeferred = gap.cause?.fate === 'behind'
    const taken = assign(gap, isDeferred ? [...unsettled, ...free.filter(isSettled)] : free)
    matched.push(...(isDeferred ? splitDeferred(gap, taken) : [gap]))
  }
  const withoutZone = sequences.flatMap(segment =>
    assigned.gaps(segment.from, segment.to).map(({ from, to }) => ({ ...segment, from, to })),
  )
  return { matched, withoutZone }
}

/** The sequences between which a zone's gap lies: its neighbours', or those that its note names. */
export function sequenceBoundsOf({
  before,
  after,
  cause,
}: GapSegment): [above: number, below: number] {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = cause?.note ?? {}
  return [
    Math.max(before?.sequence ?? Number.NEGATIVE_INFINITY, from - 1),
    Math.min(after?.sequence ?? Number.POSITIVE_INFINITY, to + 1),
  ]
}

/** Whether a note or an operator says that the numbers never arrive. */
const isSettled = ({ cause }: GapSegment) => cause?.note != null || cause?.fate === 'retired'
const isExpired = ({ cause }: GapSegment) => cause?.fate === 'expired'
const byUpperBound = (a: GapSegment, b: GapSegment) =>
  sequenceBoundsOf(a)[1] - sequenceBoundsOf(b)[1]
const totalSizeOf = (parts: readonly GapSegment[]) =>
  parts.reduce((sum, part) => sum + sizeOf(part), 0)

/** Splits a zone's gap where the cause of its sequences changes. */
function splitByCause(gap: ZoneGapSegment, parts: readonly GapSegment[]): ZoneGapSegment[] {
  const split: ZoneGapSegment[] = []
  let next = gap.from
  for (const { cause, ...part } of parts) {
    const to = next + sizeOf(part) - 1
    const last = split.at(-1)
    const isSame = last?.cause?.fate === cause?.fate && last?.cause?.reason === cause?.reason
    if (last && isSame) last.to = to
    else split.push({ ...gap, from: next, to, cause: cause && { ...cause, note: null } })
    next = to + 1
  }
  return split
}

/**
 * Splits a deferred gap so that the report names each settled sequence that the gap has taken;
 * which of the gap's numbers are settled is uncertain.
 */
function splitDeferred(gap: ZoneGapSegment, taken: readonly GapSegment[]): ZoneGapSegment[] {
  const parts = taken.map(part => (isSettled(part) ? part : { ...part, cause: gap.cause }))
  const rest = { ...gap, from: gap.from + totalSizeOf(parts) }
  return [...splitByCause(gap, parts), rest].filter(({ from, to }) => from <= to)
}

/**
 * Gives the whole gap one cause: where all parts have the same fate, or where all parts are
 * explained.
 */
function withOneCause(gap: ZoneGapSegment, parts: readonly GapSegment[]): ZoneGapSegment {
  const [first] = parts
  if (!first?.cause) return { ...gap, isUnmatched: true }
  // What the readings topic deleted does not excuse the rest.
  if (parts.some(({ cause }) => cause === LOST_BACKLOG)) return { ...gap, cause: LOST_BACKLOG }
  const isSame = parts.every(({ cause }) => cause?.fate === first.cause?.fate)
  const isExplained = parts.every(
    ({ cause }) => cause?.note || cause?.fate === 'expired' || cause?.fate === 'retired',
  )
  const unclear = { fate: 'missing', reason: 'no note explains all it may be', note: null } as const
  // The whole gap can be deferred: the arrival of the deferred sequences decides.
  const canArrive = parts.every(({ cause }) => cause?.note || cause?.fate !== 'missing')
  const deferred = canArrive && parts.find(({ cause }) => cause?.fate === 'behind')?.cause
  return {
    ...gap,
    cause: isSame || isExplained ? { ...first.cause, note: null } : deferred || unclear,
  }
}
