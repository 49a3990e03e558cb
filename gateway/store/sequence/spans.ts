/** The numbers `from` to `to`, both included. */
export type Span = { from: number; to: number }

/** The parts of a span that no subtracted span covers, in order. */
export function subtractSpans({ from, to }: Span, subtracted: readonly Span[]): Span[] {
  const rest: Span[] = []
  let next = from
  for (const span of [...subtracted].sort((a, b) => a.from - b.from)) {
    if (span.to < next || span.from > to) continue
    if (span.from > next) rest.push({ from: next, to: span.from - 1 })
    next = Math.max(next, span.to + 1)
  }
  if (next <= to) rest.push({ from: next, to })
  return rest
}

/** The count of numbers in spans; a number in two spans counts twice. */
export function countInSpans(spans: readonly Span[]): number {
  return spans.reduce((sum, { from, to }) => sum + to - from + 1, 0)
}

/** Whether a value that was read from a file is a span. */
export function isSpan(value: unknown): value is Span {
  const { from, to } = (value ?? {}) as Partial<Span>
  return Number.isSafeInteger(from) && Number.isSafeInteger(to) && from! <= to!
}

/**
 * Rising numbers, run-length encoded: the first number, the length of its run, the length of the
 * gap after the run, the length of the next run, and so on.
 */
export type Runs = number[]

/** Encodes rising numbers as runs. */
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

/** The spans that runs encode; none when the value, read from a file, is no encoding of runs. */
export function decodeRuns(runs: unknown): Span[] {
  if (!Array.isArray(runs) || !runs.every(length => Number.isSafeInteger(length) && length >= 0))
    return []
  const spans: Span[] = []
  let next = 0
  for (let at = 0; at + 1 < runs.length; at += 2) {
    const from = next + runs[at]
    next = from + runs[at + 1]
    if (next > from) spans.push({ from, to: next - 1 })
  }
  return spans
}
