import { METER_STATE_NUMBERS, type MeterState, meterStateOf } from './meter.ts'
import { emptyQuarter, type Quarter } from './quarter.ts'

/** Instead of the length of a name: the row has the present format, whose number follows. */
export const FORMAT_MARK = 0xffff
export const BLOCK_FORMAT = 2
export const blockFlags = { isWide: 1, isMeter: 2 } as const

/** A metric of a packed block. Without a quarter, its last point is in another block. */
export type BlockEntry = { metric: string; quarter: Quarter | null; endBlockStart: number }

/** Reads a packed block, of the present format or the first. */
export class BlockReader {
  readonly #packed: Buffer
  readonly #start: number
  readonly #isFirstFormat: boolean
  #position = 0

  /** Throws for a format of a newer program. */
  constructor(packed: Buffer, start: number) {
    this.#packed = packed
    this.#start = start
    this.#isFirstFormat = packed.length < 2 || packed.readUInt16LE(0) !== FORMAT_MARK
    if (this.#isFirstFormat) return
    const format = packed[2]!
    if (format !== BLOCK_FORMAT) {
      throw new Error(`the state has points of format ${format}: a newer program wrote them`)
    }
    this.#position = 3
  }

  /** The next metric; null after the last. */
  next(): BlockEntry | null {
    if (this.#position >= this.#packed.length) return null
    const metric = this.#name()
    const [count, publishedCount, amended] = [this.#uint32(), this.#uint32(), this.#uint32()]
    const atReceipt = this.#isFirstFormat ? 0 : this.#uint32()
    const flags = this.#isFirstFormat ? 0 : this.#packed[this.#position++]!
    if (count === 0) return { metric, quarter: null, endBlockStart: this.#double() }
    const before = { at: this.#double(), value: this.#double() }
    const meter = (flags & blockFlags.isMeter) === 0 ? null : this.#meter()
    const quarter: Quarter = {
      ...emptyQuarter(this.#start, Number.isNaN(before.at) ? null : before, meter),
      ...{ publishedCount, amended, atReceipt },
    }
    for (let nth = 0; nth < count; nth++) quarter.times.push(this.#start + this.#uint32())
    for (let nth = 0; nth < count; nth++) quarter.values.push(this.#double())
    // Without a sequence, a point comes before every other point of its time.
    const lowest = this.#isFirstFormat ? 0 : this.#double()
    for (let nth = 0; nth < count; nth++) {
      if (this.#isFirstFormat) quarter.sequences.push(0)
      else if (flags & blockFlags.isWide) quarter.sequences.push(this.#double())
      else quarter.sequences.push(lowest + this.#uint32())
    }
    return { metric, quarter, endBlockStart: this.#start }
  }

  #meter(): MeterState {
    const numbers: number[] = []
    while (numbers.length < METER_STATE_NUMBERS) numbers.push(this.#double())
    return meterStateOf(numbers)
  }

  #name(): string {
    const bytes = this.#uint16()
    this.#position += bytes
    return this.#packed.toString('utf8', this.#position - bytes, this.#position)
  }

  #uint16(): number {
    this.#position += 2
    return this.#packed.readUInt16LE(this.#position - 2)
  }

  #uint32(): number {
    this.#position += 4
    return this.#packed.readUInt32LE(this.#position - 4)
  }

  #double(): number {
    this.#position += 8
    return this.#packed.readDoubleLE(this.#position - 8)
  }
}
