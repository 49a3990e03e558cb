import { encodeRle } from './parquet-encodings.ts'

/**
 * Definition or repetition levels of a column (Dremel, VLDB 2010): how much of the path to each
 * value exists, or where lists begin. Levels repeat often, so equal levels in a row are stored
 * once, with their number.
 */
export class Levels {
  readonly #levels: number[] = []
  readonly #runLengths: number[] = []
  count = 0

  add(level: number): void {
    const last = this.#levels.length - 1
    if (last >= 0 && this.#levels[last] === level) this.#runLengths[last]!++
    else {
      this.#levels.push(level)
      this.#runLengths.push(1)
    }
    this.count++
  }

  /** How often a level occurs. */
  countOf(level: number): number {
    return this.#runLengths.reduce(
      (sum, length, run) => sum + (this.#levels[run] === level ? length : 0),
      0,
    )
  }

  /** The levels as Parquet stores them, each in `bitWidth` bits. */
  encode(bitWidth: number): Uint8Array {
    const levels = new Uint8Array(this.count)
    let end = 0
    for (let run = 0; run < this.#levels.length; run++) {
      const level = this.#levels[run]!
      for (let left = this.#runLengths[run]!; left > 0; left--) levels[end++] = level
    }
    return encodeRle(levels, bitWidth)
  }
}
