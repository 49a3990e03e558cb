export type Percentiles = { p50: number; p99: number; max: number }

/**
 * Nearest-rank percentiles, rounded to three decimals. Sorts `values` in place. Null when there are
 * no values.
 */
export function percentilesOf(values: Float64Array): Percentiles | null {
  if (values.length === 0) return null
  values.sort()
  const at = (share: number) => {
    const value = values[Math.max(0, Math.ceil(values.length * share) - 1)]!
    return Math.round(value * 1000) / 1000
  }
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}
