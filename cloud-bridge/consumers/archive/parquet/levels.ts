import { ByteWriter } from 'hyparquet-writer'
import { writeRleBitPackedHybrid } from 'hyparquet-writer/src/encoding.js'

/**
 * How much of the path to each value is there, or where lists begin (Dremel, VLDB 2010). The same
 * comes many times in a row, and is kept once with how often.
 */
export class Levels {
  readonly #levels: number[] = []
  readonly #times: number[] = []
  count = 0

  add(level: number): void {
    const last = this.#levels.length - 1
    if (last >= 0 && this.#levels[last] === level) this.#times[last]!++
    else {
      this.#levels.push(level)
      this.#times.push(1)
    }
    this.count++
  }

  /** How many there are of a level. */
  countOf(level: number): number {
    return this.#times.reduce((sum, times, at) => sum + (this.#levels[at] === level ? times : 0), 0)
  }

  /** As Parquet writes them, each in so many bits. */
  encoded(bits: number): Uint8Array {
    const all = new Uint8Array(this.count)
    let end = 0
    for (let run = 0; run < this.#levels.length; run++) {
      const level = this.#levels[run]!
      for (let times = this.#times[run]!; times > 0; times--) all[end++] = level
    }
    const writer = new ByteWriter()
    writeRleBitPackedHybrid(writer, all, bits)
    return writer.getBytes()
  }
}
