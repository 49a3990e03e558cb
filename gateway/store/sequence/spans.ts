/** The numbers `from` to `to`, both included. */
export type Span = { from: number; to: number }

/** Returns the parts of a span that none of the `subtracted` spans covers, in order. */
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

/** Counts the numbers in spans; a number that two spans contain counts twice. */
export function countInSpans(spans: readonly Span[]): number {
  return spans.reduce((sum, { from, to }) => sum + to - from + 1, 0)
}

/** Whether a value that was read from a file is a span. */
export function isSpan(value: unknown): value is Span {
  const { from, to } = (value ?? {}) as Partial<Span>
  return Number.isSafeInteger(from) && Number.isSafeInteger(to) && from! <= to!
}

/**
 * A list of rising numbers in run-length encoding: the first number, the length of the first run of
 * consecutive numbers, the length of the gap after that run, the length of the next run, and so on.
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

/**
 * Decodes runs that were read from a file into spans; an empty array when the value is not a valid
 * encoding.
 */
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
