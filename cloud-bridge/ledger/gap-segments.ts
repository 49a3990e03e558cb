import { type Gap, Intervals } from '../interval-set.ts'
import type { Mark } from './epoch.ts'
import { EXPLAINING, type Explanation } from './notes.ts'

/** What became of numbers that were not seen: a note's kind, or what their absence comes to. */
export type Fate = Explanation['kind'] | 'missing' | 'awaited' | 'behind' | 'expired'

/** Why numbers were not seen, and the note that says so. */
export type Why = { fate: Fate; reason: string; note: Explanation | null }

/** Numbers that were not seen, all for the same reason; null while none is known. */
export type Piece = Gap<Mark> & { why: Why | null }

/** A range of numbers that a note explains. */
export type Explained = { from: number; to: number; explanation: Explanation }

type Segment = { from: number; to: number; why: Why }

/** Ranges that do not overlap, in order: where several notes explain, the most telling one does. */
export function segmentsOf(explained: readonly Explained[]): Segment[] {
  const rank = ({ explanation }: Explained) => EXPLAINING.indexOf(explanation.kind)
  const done = new Intervals()
  const segments: Segment[] = []
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
export function unseen(
  seen: Intervals<Mark>,
  from: number,
  to: number,
  segments: readonly Segment[],
): Piece[] {
  const expected = new Intervals()
  expected.addRange(from, to)
  for (const segment of segments) expected.addRange(segment.from, segment.to)
  const gaps = expected.spans.flatMap(span => seen.gaps(...span))
  const pieces: Piece[] = []
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
export function between(pieces: readonly Piece[], above: number, below: number): Piece[] {
  let [low, high] = [0, pieces.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (pieces[middle]!.to <= above) low = middle + 1
    else high = middle
  }
  const found: Piece[] = []
  for (let at = low; at < pieces.length && pieces[at]!.from < below; at++) {
    const { from, to, ...rest } = pieces[at]!
    found.push({ ...rest, from: Math.max(from, above + 1), to: Math.min(to, below - 1) })
  }
  return found
}

export const sizeOf = ({ from, to }: { from: number; to: number }) => to - from + 1
