/** What is still to be delivered: sequences from `next` on, up to `end` (null: open). */
export type Range = {
  id: number
  store: Buffer
  next: number
  end: number | null
  topic: string
  partitions: number
  zones: string | null
  reason: string
}

/** Whether all of a range is delivered. An open one never is. */
export const isDone = ({ next, end }: Pick<Range, 'next' | 'end'>) => end !== null && next > end

/** A change of the plan: what is new, what is otherwise, what is no longer. */
export type RangesEdit = { added?: Omit<Range, 'id'>[]; changed?: Range[]; removed?: Range[] }

/** What is still to be delivered: from `next` to `end` (null: open). */
export type SequenceRange = { next: number; end: number | null }

/** Spans in order of which none overlaps: partitions that are apart wait for what others have. */
export function mergeRanges(spans: readonly SequenceRange[]): SequenceRange[] {
  const all: SequenceRange[] = []
  for (const { next, end } of spans.toSorted((a, b) => a.next - b.next)) {
    const last = all.at(-1)
    if (!last || (last.end !== null && last.end + 1 < next)) all.push({ next, end })
    else if (last.end !== null) last.end = end === null ? null : Math.max(last.end, end)
  }
  return all
}
