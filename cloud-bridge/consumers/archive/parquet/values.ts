import type { Encoding } from 'hyparquet'
import {
  encodeDeltas,
  encodeIndexes,
  encodePlain,
  findDictionary,
  type PhysicalType,
} from './parquet-encodings.ts'

/** The values of a column, without nulls, as Parquet stores them. */
export type EncodedValues = {
  encoding: Encoding
  bytes: Uint8Array
  dictionary?: { bytes: Uint8Array; count: number }
  /** The lowest and the highest value, by which readers skip files; none without values. */
  range?: [unknown, unknown] | undefined
}

/**
 * Buffers the values of a column. A buffer creates no object for each value, because the garbage
 * collector would collect such objects late.
 */
export type ValueBuffer<T> = { add(value: T): void; encode(): EncodedValues }

const INITIAL_BYTES = 256
const LENGTH_BYTES = 4
/** The most bytes of a UTF-16 unit in UTF-8. */
const UNIT_MAX_BYTES = 3

/** A longer text gives the file no statistics, because readers load all statistics first. */
const RANGE_TEXT_MAX_BYTES = 128

/** Texts that rarely repeat. */
export class TextValues implements ValueBuffer<string> {
  #bytes = Buffer.alloc(0)
  #end = 0

  add(text: string): void {
    const maxBytes = LENGTH_BYTES + text.length * UNIT_MAX_BYTES
    if (this.#end + maxBytes > this.#bytes.length) this.#grow(maxBytes)
    const length = this.#bytes.write(text, this.#end + LENGTH_BYTES)
    this.#bytes.writeUInt32LE(length, this.#end)
    this.#end += LENGTH_BYTES + length
  }

  encode(): EncodedValues {
    const bytes = this.#bytes.subarray(0, this.#end)
    return { encoding: 'PLAIN', bytes, range: this.#range() }
  }

  /** Compares the texts in place: a file has many texts. */
  #range(): [Buffer, Buffer] | undefined {
    const bytes = this.#bytes
    type Place = { start: number; end: number }
    const compare = (a: Place, b: Place) => bytes.compare(bytes, b.start, b.end, a.start, a.end)
    let [low, high]: [Place?, Place?] = []
    for (let at = 0; at < this.#end; ) {
      const start = at + LENGTH_BYTES
      const text = { start, end: start + bytes.readUInt32LE(at) }
      if (!low || compare(text, low) < 0) low = text
      if (!high || compare(text, high) > 0) high = text
      at = text.end
    }
    const copy = ({ start, end }: Place) => Buffer.from(bytes.subarray(start, end))
    return low && high && shortRange(copy(low), copy(high))
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafe(Math.max(INITIAL_BYTES, 2 * this.#bytes.length) + bytes)
    this.#bytes.copy(larger, 0, 0, this.#end)
    this.#bytes = larger
  }
}

/** Texts that repeat often: a dictionary stores each text once. */
export class DictionaryTextValues implements ValueBuffer<string> {
  readonly #indexes = new Map<string, number>()
  readonly #texts: string[] = []
  /**
   * For each text, by its index: the index of the text that followed the last time. Devices and
   * metrics often repeat in the same order.
   */
  readonly #followers: number[] = []
  readonly #values: number[] = []
  #last = 0

  add(text: string): void {
    const guess = this.#followers[this.#last]
    const isRight = guess !== undefined && this.#texts[guess] === text
    const index = isRight ? guess : this.#indexOf(text)
    this.#followers[this.#last] = index
    this.#last = index
    this.#values.push(index)
  }

  encode(): EncodedValues {
    const texts = this.#texts
    const range = textRange(texts.map(text => Buffer.from(text)))
    return { ...encodeWithDictionary(texts, 'BYTE_ARRAY', this.#values), range }
  }

  #indexOf(text: string): number {
    const known = this.#indexes.get(text)
    if (known !== undefined) return known
    this.#indexes.set(text, this.#texts.length)
    return this.#texts.push(text) - 1
  }
}

/** Whole numbers, often with a constant difference from one to the next. */
export class LongValues implements ValueBuffer<number> {
  readonly #values: number[] = []

  add(value: number): void {
    this.#values.push(value)
  }

  encode(): EncodedValues {
    const values = this.#values
    if (values.length === 0) return { encoding: 'PLAIN', bytes: new Uint8Array() }
    const [low, high] = lowestAndHighest(values)
    return { encoding: 'DELTA_BINARY_PACKED', bytes: encodeDeltas(values), range: [low, high] }
  }
}

/** Any numbers. A sensor often repeats a few values, so a dictionary is tried first. */
export class DoubleValues implements ValueBuffer<number> {
  readonly #values: number[] = []
  /** A dictionary does not distinguish minus zero from zero. */
  #hasMinusZero = false

  add(value: number): void {
    this.#values.push(value)
    if (value === 0) this.#hasMinusZero ||= Object.is(value, -0)
  }

  encode(): EncodedValues {
    const values = this.#values
    const range = numberRange(values)
    const dictionary = this.#hasMinusZero ? null : findDictionary(values)
    if (!dictionary) return { encoding: 'PLAIN', bytes: encodePlain(values, 'DOUBLE'), range }
    return { ...encodeWithDictionary(dictionary.entries, 'DOUBLE', dictionary.indexes), range }
  }
}

export class FlagValues implements ValueBuffer<boolean> {
  readonly #values: boolean[] = []

  add(value: boolean): void {
    this.#values.push(value)
  }

  encode(): EncodedValues {
    const values = this.#values
    const range: [boolean, boolean] = [!values.includes(false), values.includes(true)]
    return {
      ...{ encoding: 'PLAIN', bytes: encodePlain(values, 'BOOLEAN') },
      ...(values.length > 0 && { range }),
    }
  }
}

/**
 * The range of doubles. Zero counts as minus zero at the lower end and as zero at the upper end,
 * and NaN gives no range (Parquet format, `ColumnOrder`).
 */
function numberRange(values: readonly number[]): [number, number] | undefined {
  if (values.length === 0 || values.some(Number.isNaN)) return undefined
  const [low, high] = lowestAndHighest(values)
  return [low === 0 ? -0 : low, high === 0 ? 0 : high]
}

function lowestAndHighest(values: readonly number[]): [number, number] {
  let [low, high] = [values[0]!, values[0]!]
  for (const value of values) {
    if (value < low) low = value
    if (value > high) high = value
  }
  return [low, high]
}

function textRange(texts: readonly Buffer[]): [Buffer, Buffer] | undefined {
  let [low, high] = [texts[0], texts[0]]
  for (const text of texts) {
    if (Buffer.compare(text, low!) < 0) low = text
    if (Buffer.compare(text, high!) > 0) high = text
  }
  return low && high && shortRange(low, high)
}

const shortRange = (low: Buffer, high: Buffer): [Buffer, Buffer] | undefined =>
  Math.max(low.length, high.length) > RANGE_TEXT_MAX_BYTES ? undefined : [low, high]

function encodeWithDictionary(
  entries: unknown[],
  type: PhysicalType,
  indexes: number[],
): EncodedValues {
  return {
    ...{ encoding: 'RLE_DICTIONARY', bytes: encodeIndexes(indexes, entries.length) },
    dictionary: { bytes: encodePlain(entries, type), count: entries.length },
  }
}
