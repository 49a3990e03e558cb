/** What a range is for, see docs/glossary.md; `apart`: an isolated partition. */
export type RangeKind = 'live' | 'backlog' | 'apart' | 'replay'

/** Events still to be delivered to one topic: sequences `next` to `end`; null for an open end. */
export type Range = {
  id: number
  store: Buffer
  next: number
  end: number | null
  topic: string
  partitions: number
  zones: string | null
  /** Why the range exists, for people. */
  reason: string
  kind: RangeKind
  /** The note that deferred a backlog or an isolated partition: its number and its sequences. */
  deferral?: { note: number; from: number; to: number | null }
}

/** Whether all events of a range are delivered. An open range is never done. */
export const isDone = ({ next, end }: Pick<Range, 'next' | 'end'>) => end !== null && next > end

/** A change of the delivery plan: new, changed and removed ranges. */
export type RangesEdit = { added?: Omit<Range, 'id'>[]; changed?: Range[]; removed?: Range[] }

/** The sequences of a range: `next` to `end`, both included; null for an open end. */
export type SequenceRange = { next: number; end: number | null }

/**
 * Merges ranges that overlap or touch; the result is in order. Ranges of isolated partitions
 * overlap the ranges of other partitions.
 */
export function mergeRanges(ranges: readonly SequenceRange[]): SequenceRange[] {
  const merged: SequenceRange[] = []
  for (const { next, end } of ranges.toSorted((a, b) => a.next - b.next)) {
    const last = merged.at(-1)
    if (!last || (last.end !== null && last.end + 1 < next)) merged.push({ next, end })
    else if (last.end !== null) last.end = end === null ? null : Math.max(last.end, end)
  }
  return merged
}
