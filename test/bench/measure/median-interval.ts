/** A median, and an interval that covers the true median with probability `coverage`. */
export type MedianInterval = { median: number; low: number; high: number; coverage: number }

/**
 * The distribution-free interval of a median from order statistics: the k-th smallest to the k-th
 * largest value covers the true median with probability 1 − 2·P(B < k), B binomial(n, ½). Takes the
 * largest k whose coverage is at least `confidence`; for few values the coverage may be smaller.
 * Source: Conover, Practical Nonparametric Statistics, section 3.2. `values` must not be empty.
 */
export function medianInterval(values: readonly number[], confidence: number): MedianInterval {
  const sorted = values.toSorted((a, b) => a - b)
  const count = sorted.length
  const median = (sorted[(count - 1) >> 1]! + sorted[count >> 1]!) / 2
  let best: MedianInterval | null = null
  let tail = 0
  let probability = 0.5 ** count
  for (let k = 1; k <= count / 2 || k === 1; k++) {
    tail += probability
    probability *= (count - k + 1) / k
    const coverage = Math.max(0, 1 - 2 * tail)
    if (best !== null && coverage < confidence) break
    best = { median, low: sorted[k - 1]!, high: sorted[count - k]!, coverage }
  }
  return best!
}
