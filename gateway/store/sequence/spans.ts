/** Numbers from `from` to `to`, both included. */
export type Span = { from: number; to: number }

/** What is left of a span without the given ones, in order. */
export function subtractSpans({ from, to }: Span, those: readonly Span[]): Span[] {
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
export function countInSpans(spans: readonly Span[]): number {
  return spans.reduce((sum, { from, to }) => sum + to - from + 1, 0)
}

/** Whether something read from a file is a span. */
export function isSpan(value: unknown): value is Span {
  const { from, to } = (value ?? {}) as Partial<Span>
  return Number.isSafeInteger(from) && Number.isSafeInteger(to) && from! <= to!
}

/**
 * Numbers in a short form: the first, how many of them follow each other, how many are left out,
 * how many follow, and so on.
 */
export type Runs = number[]

/** Gives rising numbers in their short form. */
export function encodeRuns(numbers: readonly number[]): Runs {
  const runs: Runs = []
  let next = Number.NaN
  for (const number of numbers) {
    if (runs.length === 0) runs.push(number, 1)
    else if (number === next) runs[runs.length - 1]!++
    else runs.push(number - next, 1)
    next = number + 1
  }
  return runs
}

/** The spans of numbers in their short form; none of something that is not one. */
export function decodeRuns(runs: unknown): Span[] {
  if (!Array.isArray(runs) || !runs.every(one => Number.isSafeInteger(one) && one >= 0)) return []
  const spans: Span[] = []
  let next = 0
  for (let at = 0; at + 1 < runs.length; at += 2) {
    const from = next + runs[at]
    next = from + runs[at + 1]
    if (next > from) spans.push({ from, to: next - 1 })
  }
  return spans
}
