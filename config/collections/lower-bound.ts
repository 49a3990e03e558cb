/**
 * Binary search: returns the index of the first entry for which `isBefore` is false, or the length
 * of the list when `isBefore` is true for every entry. `isBefore` must not be true for an entry
 * after an entry for which it is false.
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
