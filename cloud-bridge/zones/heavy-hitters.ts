export type Tally = ReturnType<typeof createTally>

/**
 * Adds up weights by key in bounded memory: at most 2 × `kept` keys. A sum is exact while there
 * were at most 2 × `kept` keys, and otherwise too low by at most 1/(kept + 1) of the total, never
 * too high: every key with a larger share is present. Misra and Gries, "Finding repeated elements"
 * (1982), with weights and many counters lowered at once as in Anderson et al., "A High-Performance
 * Algorithm for Identifying Frequent Items in Data Streams" (2017), so that adding a weight costs
 * one map access, however many keys there are.
 */
export function createTally(kept: number) {
  const sums = new Map<string, number>()
  let total = 0

  const evict = () => {
    const decrement = [...sums.values()].sort((a, b) => b - a)[kept]!
    for (const [key, sum] of sums) {
      if (sum > decrement) sums.set(key, sum - decrement)
      else sums.delete(key)
    }
  }
  return {
    sums: sums as ReadonlyMap<string, number>,
    /** The sum over all keys, evicted keys included. */
    get total() {
      return total
    },
    add(key: string, weight: number): void {
      total += weight
      sums.set(key, (sums.get(key) ?? 0) + weight)
      if (sums.size > 2 * kept) evict()
    },
  }
}
