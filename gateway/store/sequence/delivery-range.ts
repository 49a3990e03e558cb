/**
 * Why the events of a range are delivered separately (see docs/glossary.md). `apart` is the range
 * of an isolated partition.
 */
export type RangeKind = 'live' | 'backlog' | 'apart' | 'replay'

/**
 * Events still to be delivered to one topic: the sequences `next` to `end`. When `end` is null, the
 * range also includes all future events.
 */
export type Range = {
  id: number
  store: Buffer
  next: number
  end: number | null
  topic: string
  partitions: number
  zones: string | null
  /** Explains to people why the range exists. */
  reason: string
  kind: RangeKind
  /**
   * The `behind` note of a backlog or of an isolated partition: the number of the note, and the
   * sequences that it names.
   */
  deferral?: { note: number; from: number; to: number | null }
}

/** Whether all events of a range are delivered; never true for an open range. */
export const isDone = ({ next, end }: Pick<Range, 'next' | 'end'>) => end !== null && next > end

/** A change of the delivery plan: new, changed and removed ranges. */
export type RangesEdit = { added?: Omit<Range, 'id'>[]; changed?: Range[]; removed?: Range[] }

/**
 * The sequences of a range: `next` to `end`, both included. When `end` is null, the range is open.
 */
export type SequenceRange = { next: number; end: number | null }

/**
 * Merges ranges that overlap or are adjacent; returns the merged ranges in order. Overlaps exist
 * because the range of an isolated partition contains sequences of other partitions, too.
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
