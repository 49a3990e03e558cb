import { type Gap, IntervalSet } from '../interval-set.ts'
import type { EventPosition } from './epoch.ts'
import { EXPLAINING_KINDS, type Explanation } from './notes.ts'

/** What became of numbers that were not seen: a note's kind, or what their absence comes to. */
export type GapFate = Explanation['kind'] | 'missing' | 'awaited' | 'behind' | 'expired'

/** Why numbers were not seen, and the note that says so. */
export type GapCause = { fate: GapFate; reason: string; note: Explanation | null }

/** Numbers that were not seen, all for the same reason; null while none is known. */
export type GapSegment = Gap<EventPosition> & { why: GapCause | null }

/** A range of numbers that a note explains. */
export type ExplainedRange = { from: number; to: number; explanation: Explanation }

type ExplainedSegment = { from: number; to: number; why: GapCause }

/** Ranges that do not overlap, in order: where several notes explain, the most telling one does. */
export function explainedSegments(explained: readonly ExplainedRange[]): ExplainedSegment[] {
  const rank = ({ explanation }: ExplainedRange) => EXPLAINING_KINDS.indexOf(explanation.kind)
  const done = new IntervalSet()
  const segments: ExplainedSegment[] = []
  for (const { from, to, explanation } of explained.toSorted((a, b) => rank(a) - rank(b))) {
    const why = { fate: explanation.kind, reason: explanation.reason, note: explanation }
    for (const gap of done.gaps(from, to)) segments.push({ from: gap.from, to: gap.to, why })
    done.addRange(from, to)
  }
  return segments.sort((a, b) => a.from - b.from)
}

/**
 * What was not seen from `from` to `to`, and of what is explained anywhere, cut where the reason
 * changes; in order.
 */
export function unseenSegments(
  seen: IntervalSet<EventPosition>,
  from: number,
  to: number,
  segments: readonly ExplainedSegment[],
): GapSegment[] {
  const expected = new IntervalSet()
  expected.addRange(from, to)
  for (const segment of segments) expected.addRange(segment.from, segment.to)
  const gaps = expected.spans.flatMap(span => seen.gaps(...span))
  const pieces: GapSegment[] = []
  let near = 0
  for (const gap of gaps) {
    let next = gap.from
    while (near < segments.length && segments[near]!.to < next) near++
    for (let at = near; at < segments.length && segments[at]!.from <= gap.to; at++) {
      const segment = segments[at]!
      const start = Math.max(next, segment.from)
      if (start > next) pieces.push({ ...gap, from: next, to: start - 1, why: null })
      const end = Math.min(gap.to, segment.to)
      pieces.push({ ...gap, from: start, to: end, why: segment.why })
      next = end + 1
    }
    if (next <= gap.to) pieces.push({ ...gap, from: next, why: null })
  }
  return pieces
}

/** The pieces with a number between two others that are both seen, cut to what lies between. */
export function segmentsBetween(
  pieces: readonly GapSegment[],
  above: number,
  below: number,
): GapSegment[] {
  let [low, high] = [0, pieces.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (pieces[middle]!.to <= above) low = middle + 1
    else high = middle
  }
  const found: GapSegment[] = []
  for (let at = low; at < pieces.length && pieces[at]!.from < below; at++) {
    const { from, to, ...rest } = pieces[at]!
    found.push({ ...rest, from: Math.max(from, above + 1), to: Math.min(to, below - 1) })
  }
  return found
}

export const sizeOf = ({ from, to }: { from: number; to: number }) => to - from + 1
