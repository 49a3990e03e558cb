/** What the project has to reach, where it says so. */
export type Target = { atLeast: number } | { atMost: number } | { below: number }

/** One figure of one run; null when it could not be measured here. */
export type Measured = {
  figure: string
  /** Whose figure it is; a ratio is nobody's. */
  of: string | null
  unit: string
  value: number | null
  target?: Target
}

/** A figure over all runs: the median with its least and greatest value. */
export type Figure = Measured & { min: number | null; max: number | null; runs: number }

/** Makes one figure of the same figure of several runs; one run without a value leaves none. */
export function overRuns(runs: Measured[][]): Figure[] {
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

/** Whether a target is reached; null when there is none or nothing was measured. */
export function isReached({ value, target }: Measured): boolean | null {
  if (value === null || target === undefined) return null
  if ('atLeast' in target) return value >= target.atLeast
  return 'atMost' in target ? value <= target.atMost : value < target.below
}

/** Four digits that count: no run of these can be repeated to more. */
function rounded(value: number): number {
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4))
}
