/** The target that a figure must reach. */
export type Target = { atLeast: number } | { atMost: number } | { below: number }

/** One figure of one run; `value` is null when this machine cannot measure the figure. */
export type Measurement = {
  figure: string
  /** The process or library that the figure describes; null for a ratio. */
  of: string | null
  unit: string
  value: number | null
  target?: Target
}

/** A figure over all runs: median, minimum and maximum. */
export type Figure = Measurement & { min: number | null; max: number | null; runs: number }

/**
 * Summarizes each figure over several runs. A figure that has no value in one of the runs has no
 * value.
 */
export function summarizeRuns(runs: Measurement[][]): Figure[] {
  return (runs[0] ?? []).map((first, index) => {
    const values = runs.map(run => run[index]!.value)
    if (values.some(value => value === null)) {
      return { ...first, value: null, min: null, max: null, runs: runs.length }
    }
    const sorted = (values as number[]).map(rounded).sort((one, other) => one - other)
    const median = (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2
    const [min, max] = [sorted[0]!, sorted.at(-1)!]
    return { ...first, value: rounded(median), min, max, runs: runs.length }
  })
}

/** Whether a figure reaches its target; null without a target or a value. */
export function isReached({ value, target }: Measurement): boolean | null {
  if (value === null || target === undefined) return null
  if ('atLeast' in target) return value >= target.atLeast
  return 'atMost' in target ? value <= target.atMost : value < target.below
}

/** Rounds to four significant digits, because no run repeats more exactly. */
function rounded(value: number): number {
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4))
}
