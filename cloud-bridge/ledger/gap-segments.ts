import { lowerBound } from '../../config/collections/lower-bound.ts'
import { type Gap, IntervalSet } from '../interval-set.ts'
import type { EventPosition } from './epoch-zones.ts'
import type { DeliveredBacklog } from './notes/deferred.ts'
import { EXPLAINING_KINDS, type Explanation } from './notes/notes.ts'

/**
 * The fate of numbers that were not seen: the kind of the note that explains the numbers, or the
 * ledger's own judgement. `behind`: the numbers are deferred.
 */
export type GapFate = Explanation['kind'] | 'missing' | 'awaited' | 'behind' | 'expired' | 'retired'

/**
 * Why numbers were not seen, and the note that explains them; `note` is null when no single note
 * does.
 */
export type GapCause = { fate: GapFate; reason: string; note: Explanation | null }

/**
 * Numbers that were not seen, all for the same cause; `cause` is null while it is unknown.
 * `backlog`: the events with these sequences were delivered to the backfill topic.
 */
export type GapSegment = Gap<EventPosition> & {
  cause: GapCause | null
  backlog?: DeliveredBacklog
}

/** A range of numbers that a note explains. */
export type ExplainedRange = { from: number; to: number; explanation: Explanation }

type ExplainedSegment = { from: number; to: number; cause: GapCause }

/**
 * Turns explained ranges into ordered segments without overlap. Where several notes explain a
 * number, the kind that comes first in EXPLAINING_KINDS wins.
 */
export function explainedSegments(ranges: readonly ExplainedRange[]): ExplainedSegment[] {
  const rank = ({ explanation }: ExplainedRange) => EXPLAINING_KINDS.indexOf(explanation.kind)
  const covered = new IntervalSet()
  const segments: ExplainedSegment[] = []
  for (const { from, to, explanation } of ranges.toSorted((a, b) => rank(a) - rank(b))) {
    const cause = { fate: explanation.kind, reason: explanation.reason, note: explanation }
    for (const gap of covered.gaps(from, to)) segments.push({ from: gap.from, to: gap.to, cause })
    covered.addRange(from, to)
  }
  return segments.sort((a, b) => a.from - b.from)
}

/**
 * The numbers that were not seen, in order and split where the cause changes: those between `from`
 * and `to`, and those in an explained segment outside of that span.
 */
export function unseenSegments(
  seen: IntervalSet<EventPosition>,
  from: number,
  to: number,
  explained: readonly ExplainedSegment[],
): GapSegment[] {
  const expected = new IntervalSet()
  expected.addRange(from, to)
  for (const segment of explained) expected.addRange(segment.from, segment.to)
  const gaps = expected.spans.flatMap(span => seen.gaps(...span))
  const unseen: GapSegment[] = []
  let near = 0
  for (const gap of gaps) {
    let next = gap.from
    while (near < explained.length && explained[near]!.to < next) near++
    for (let at = near; at < explained.length && explained[at]!.from <= gap.to; at++) {
      const segment = explained[at]!
      const start = Math.max(next, segment.from)
      if (start > next) unseen.push({ ...gap, from: next, to: start - 1, cause: null })
      const end = Math.min(gap.to, segment.to)
      unseen.push({ ...gap, from: start, to: end, cause: segment.cause })
      next = end + 1
    }
    if (next <= gap.to) unseen.push({ ...gap, from: next, cause: null })
  }
  return unseen
}

/** Splits a segment without a cause where a delivered backlog begins or ends. */
export function splitByBacklog(
  segment: GapSegment,
  backlogs: readonly DeliveredBacklog[],
): GapSegment[] {
  if (segment.cause) return [segment]
  const parts: GapSegment[] = []
  let next = segment.from
  for (const backlog of backlogs) {
    const from = Math.max(next, backlog.from)
    const to = Math.min(segment.to, backlog.to)
    if (from > to) continue
    if (from > next) parts.push({ ...segment, from: next, to: from - 1 })
    parts.push({ ...segment, from, to, backlog })
    next = to + 1
  }
  if (next <= segment.to) parts.push({ ...segment, from: next })
  return parts
}

/** The parts of ordered segments between two numbers, both excluded. */
export function segmentsBetween(
  segments: readonly GapSegment[],
  above: number,
  below: number,
): GapSegment[] {
  const first = lowerBound(segments, ({ to }) => to <= above)
  const found: GapSegment[] = []
  for (let at = first; at < segments.length && segments[at]!.from < below; at++) {
    const { from, to, ...rest } = segments[at]!
    found.push({ ...rest, from: Math.max(from, above + 1), to: Math.min(to, below - 1) })
  }
  return found
}

export const sizeOf = ({ from, to }: { from: number; to: number }) => to - from + 1
