export type Tally = ReturnType<typeof createTally>

/**
 * Adds up weights by key in bounded memory: at most 2 × `kept` keys. A sum is exact while there
 * were no more keys than that, and otherwise too low by at most 1/(kept + 1) of the total, never
 * too high: every key with a larger share is there. Misra and Gries, "Finding repeated elements"
 * (1982), with weights and many counters lowered at once as in Anderson et al., "A
 * High-Performance Algorithm for Identifying Frequent Items in Data Streams" (2017), so that a key
 * costs one look into a map, however many there are.
 */
export function createTally(kept: number) {
  const sums = new Map<string, number>()
  let total = 0

  const lower = () => {
    const by = [...sums.values()].sort((a, b) => b - a)[kept]!
    for (const [key, sum] of sums) {
      if (sum > by) sums.set(key, sum - by)
      else sums.delete(key)
    }
  }
  return {
    sums: sums as ReadonlyMap<string, number>,
    /** Of all keys, those that are not there included. */
    get total() {
      return total
    },
    add(key: string, weight: number): void {
      total += weight
      sums.set(key, (sums.get(key) ?? 0) + weight)
      if (sums.size > 2 * kept) lower()
    },
  }
}
