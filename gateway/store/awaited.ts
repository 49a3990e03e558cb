import type { Span } from './range.ts'

/** Spans in order of which none overlaps: partitions that are apart wait for what others have. */
export function merged(spans: readonly Span[]): Span[] {
  const all: Span[] = []
  for (const { next, end } of spans.toSorted((a, b) => a.next - b.next)) {
    const last = all.at(-1)
    if (!last || (last.end !== null && last.end + 1 < next)) all.push({ next, end })
    else if (last.end !== null) last.end = end === null ? null : Math.max(last.end, end)
  }
  return all
}
