import type { Encoding } from 'hyparquet'
import { ByteWriter } from 'hyparquet-writer'
import { deltaBinaryPack } from 'hyparquet-writer/src/delta.js'
import { useDictionary } from 'hyparquet-writer/src/dictionary.js'
import { writeRleBitPackedHybrid } from 'hyparquet-writer/src/encoding.js'
import { writePlain } from 'hyparquet-writer/src/plain.js'

/** The values of a column, those that are there, as Parquet writes them. */
export type EncodedValues = {
  encoding: Encoding
  bytes: Uint8Array
  dictionary?: { bytes: Uint8Array; count: number }
  /** The lowest and the highest, where a reader may skip by them. */
  range?: [unknown, unknown]
}

/**
 * The values of a column while they gather: never as objects of their own, which would be garbage
 * that is collected late.
 */
export type ValueBuffer<T> = { add(value: T): void; encoded(): EncodedValues }

const BEGIN_BYTES = 256
const LENGTH_BYTES = 4
/** Of a UTF-16 unit in UTF-8, at most. */
const UNIT_BYTES = 3

/** Texts of which each is another. */
export class TextValues implements ValueBuffer<string> {
  #bytes = Buffer.alloc(0)
  #end = 0

  add(text: string): void {
    const mostBytes = LENGTH_BYTES + text.length * UNIT_BYTES
    if (this.#end + mostBytes > this.#bytes.length) this.#grow(mostBytes)
    const length = this.#bytes.write(text, this.#end + LENGTH_BYTES)
    this.#bytes.writeUInt32LE(length, this.#end)
    this.#end += LENGTH_BYTES + length
  }

  encoded(): EncodedValues {
    return { encoding: 'PLAIN', bytes: this.#bytes.subarray(0, this.#end) }
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafe(Math.max(BEGIN_BYTES, 2 * this.#bytes.length) + bytes)
    this.#bytes.copy(larger, 0, 0, this.#end)
    this.#bytes = larger
  }
}

/** Texts that come again and again: each stands once in a dictionary. */
export class DictionaryTextValues implements ValueBuffer<string> {
  readonly #hasRange: boolean
  readonly #indexes = new Map<string, number>()
  readonly #names: string[] = []
  /** Behind each name, the one that came last time: devices and metrics often come in turn. */
  readonly #behind: number[] = []
  readonly #values: number[] = []
  #last = 0

  constructor(hasRange: boolean) {
    this.#hasRange = hasRange
  }

  add(text: string): void {
    const guess = this.#behind[this.#last]
    const isSo = guess !== undefined && this.#names[guess] === text
    const index = isSo ? guess : this.#indexOf(text)
    this.#behind[this.#last] = index
    this.#last = index
    this.#values.push(index)
  }

  encoded(): EncodedValues {
    const names = this.#names
    const sorted = this.#hasRange ? names.map(name => Buffer.from(name)).sort(Buffer.compare) : []
    return {
      ...withDictionary(names, 'BYTE_ARRAY', this.#values),
      ...(sorted.length > 0 && { range: [sorted[0], sorted.at(-1)] }),
    }
  }

  #indexOf(text: string): number {
    const found = this.#indexes.get(text)
    if (found !== undefined) return found
    this.#indexes.set(text, this.#names.length)
    return this.#names.push(text) - 1
  }
}

/** Whole numbers, often with the same step from one to the next. */
export class LongValues implements ValueBuffer<number> {
  readonly #values: number[] = []

  add(value: number): void {
    this.#values.push(value)
  }

  encoded(): EncodedValues {
    const values = this.#values
    if (values.length === 0) return { encoding: 'PLAIN', bytes: new Uint8Array() }
    let [low, high] = [values[0]!, values[0]!]
    for (const value of values) {
      if (value < low) low = value
      if (value > high) high = value
    }
    return { encoding: 'DELTA_BINARY_PACKED', bytes: packed(values), range: [low, high] }
  }
}

/** Any numbers; what sensors say is often one of few. */
export class DoubleValues implements ValueBuffer<number> {
  readonly #values: number[] = []
  /** A dictionary does not tell it from zero. */
  #hasMinusZero = false

  add(value: number): void {
    this.#values.push(value)
    if (value === 0) this.#hasMinusZero ||= Object.is(value, -0)
  }

  encoded(): EncodedValues {
    const values = this.#values
    const { dictionary, indexes } = this.#hasMinusZero
      ? {}
      : useDictionary(values, 'DOUBLE', undefined, undefined, undefined, true)
    if (dictionary && indexes) return withDictionary(dictionary, 'DOUBLE', indexes)
    return { encoding: 'PLAIN', bytes: plain(values, 'DOUBLE') }
  }
}

export class FlagValues implements ValueBuffer<boolean> {
  readonly #values: boolean[] = []

  add(value: boolean): void {
    this.#values.push(value)
  }

  encoded(): EncodedValues {
    return { encoding: 'PLAIN', bytes: plain(this.#values, 'BOOLEAN') }
  }
}

type Type = Parameters<typeof writePlain>[2]

function plain(values: unknown[], type: Type): Uint8Array {
  const writer = new ByteWriter()
  writePlain(writer, values, type, undefined)
  return writer.getBytes()
}

function withDictionary(entries: unknown[], type: Type, indexes: number[]): EncodedValues {
  const writer = new ByteWriter()
  const bitWidth = bitWidthOf(entries.length - 1)
  writer.appendUint8(bitWidth)
  writeRleBitPackedHybrid(writer, indexes, bitWidth)
  return {
    ...{ encoding: 'RLE_DICTIONARY', bytes: writer.getBytes() },
    dictionary: { bytes: plain(entries, type), count: entries.length },
  }
}

/** How many bits the numbers up to this one take. */
export const bitWidthOf = (most: number): number => (most <= 0 ? 0 : 32 - Math.clz32(most))

const HEADER_NUMBERS = 3

/**
 * DELTA_BINARY_PACKED: the first value, then steps. Those are packed as numbers of 32 bits where
 * they can be, because with a BigInt for each it takes ten times as long.
 */
function packed(values: number[]): Uint8Array {
  const first = values[0]!
  const fromFirst = new Int32Array(values.length)
  const writer = new ByteWriter()
  for (let at = 0; at < values.length; at++) {
    const distance = values[at]! - first
    fromFirst[at] = distance
    if (fromFirst[at] === distance) continue
    deltaBinaryPack(writer, BigInt64Array.from(values, BigInt), 'INT64')
    return writer.getBytes()
  }
  const rest = new ByteWriter()
  deltaBinaryPack(rest, fromFirst, 'INT64')
  const bytes = rest.getBytes()
  // Behind numbers of which each ends with a byte below 128 stands the first value: 0 there.
  let at = 0
  for (let ended = 0; ended < HEADER_NUMBERS; at++) if (bytes[at]! < 128) ended++
  writer.appendBytes(bytes.subarray(0, at))
  writer.appendZigZag(BigInt(first))
  writer.appendBytes(bytes.subarray(at + 1))
  return writer.getBytes()
}
