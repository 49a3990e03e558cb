import type { Span } from './spans.ts'

/**
 * Numbers in a short form: the first, how many of them follow each other, how many are left out,
 * how many follow, and so on.
 */
export type Runs = number[]

/** Gives rising numbers in their short form. */
export function toRuns(numbers: readonly number[]): Runs {
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
export function runsOf(runs: unknown): Span[] {
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
