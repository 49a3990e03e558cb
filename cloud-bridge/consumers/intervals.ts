/**
 * The set of numbers seen, kept as intervals: its size grows with the holes, not with the numbers.
 * What a consumer needs, one a zone and epoch, to drop duplicates and to name what is missing.
 */
export class Intervals {
  readonly #spans: [from: number, to: number][] = []

  /** Adds a number; false when it was there already. */
  add(number: number): boolean {
    const at = this.#after(number)
    const before = this.#spans[at - 1]
    if (before && number <= before[1]) return false
    const behind = this.#spans[at]
    const joinsBefore = before?.[1] === number - 1
    const joinsBehind = behind?.[0] === number + 1
    if (joinsBefore && joinsBehind) {
      before[1] = behind[1]
      this.#spans.splice(at, 1)
    } else if (joinsBefore) before[1] = number
    else if (joinsBehind) behind[0] = number
    else this.#spans.splice(at, 0, [number, number])
    return true
  }

  /** What is missing between the lowest and the highest number seen. */
  get holes(): [from: number, to: number][] {
    return this.#spans.slice(1).map(([from], index) => [this.#spans[index]![1] + 1, from - 1])
  }

  get highest(): number | undefined {
    return this.#spans.at(-1)?.[1]
  }

  /** The index of the first interval that begins behind the number. */
  #after(number: number): number {
    let [low, high] = [0, this.#spans.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#spans[middle]![0] <= number) low = middle + 1
      else high = middle
    }
    return low
  }
}
