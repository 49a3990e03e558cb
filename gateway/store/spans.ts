/** Numbers from `from` to `to`, both included. */
export type Span = { from: number; to: number }

/** What is left of a span without the given ones, in order. */
export function without({ from, to }: Span, those: readonly Span[]): Span[] {
  const left: Span[] = []
  let next = from
  for (const one of [...those].sort((a, b) => a.from - b.from)) {
    if (one.to < next || one.from > to) continue
    if (one.from > next) left.push({ from: next, to: one.from - 1 })
    next = Math.max(next, one.to + 1)
  }
  if (next <= to) left.push({ from: next, to })
  return left
}

/** How many numbers are in some spans. */
export function countIn(spans: readonly Span[]): number {
  return spans.reduce((sum, { from, to }) => sum + to - from + 1, 0)
}

/** Whether something read from a file is a span. */
export function isSpan(value: unknown): value is Span {
  const { from, to } = (value ?? {}) as Partial<Span>
  return Number.isSafeInteger(from) && Number.isSafeInteger(to) && from! <= to!
}
