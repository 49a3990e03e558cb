/**
 * Binary search: the index of the first entry for which `isBefore` is false, or the length when
 * there is none. `isBefore` must be true for a head of the list and false for its tail.
 */
export function lowerBound<T>(sorted: readonly T[], isBefore: (entry: T) => boolean): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high - 1) >> 1
    if (isBefore(sorted[middle]!)) low = middle + 1
    else high = middle
  }
  return low
}
