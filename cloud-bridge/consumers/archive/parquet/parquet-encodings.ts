import { ByteWriter } from 'hyparquet-writer'
import { writePageHeader } from 'hyparquet-writer/src/datapage.js'
import { deltaBinaryPack } from 'hyparquet-writer/src/delta.js'
import { useDictionary } from 'hyparquet-writer/src/dictionary.js'
import { writeRleBitPackedHybrid } from 'hyparquet-writer/src/encoding.js'
import { writePlain } from 'hyparquet-writer/src/plain.js'

/**
 * The encodings of the Parquet format, from private modules of hyparquet-writer: its public API
 * takes whole columns as arrays of objects. A new version may change these modules without notice;
 * parquet-encodings.test.ts compares their output with bytes of the specification.
 */
export { writePageHeader }

export type PhysicalType = Parameters<typeof writePlain>[2]

/** PLAIN: the values one after the other. */
export function encodePlain(values: unknown[], type: PhysicalType): Uint8Array {
  const writer = new ByteWriter()
  writePlain(writer, values, type, undefined)
  return writer.getBytes()
}

/** The RLE and bit-packing hybrid of whole numbers below 2 ** `bitWidth`. */
export function encodeRle(values: ArrayLike<number>, bitWidth: number): Uint8Array {
  const writer = new ByteWriter()
  appendRle(writer, values, bitWidth)
  return writer.getBytes()
}

/** RLE_DICTIONARY: the bit width in one byte, then the indexes as `encodeRle` encodes them. */
export function encodeIndexes(indexes: number[], entryCount: number): Uint8Array {
  const writer = new ByteWriter()
  const bitWidth = bitWidthOf(entryCount - 1)
  writer.appendUint8(bitWidth)
  appendRle(writer, indexes, bitWidth)
  return writer.getBytes()
}

const appendRle = (writer: ByteWriter, values: ArrayLike<number>, bitWidth: number) =>
  writeRleBitPackedHybrid(writer, values as number[], bitWidth)

/** How many bits the whole numbers up to `max` need. */
export const bitWidthOf = (max: number): number => (max <= 0 ? 0 : 32 - Math.clz32(max))

/** A dictionary of doubles and an index into it for each value; null when it would not pay off. */
export function findDictionary(values: number[]): { entries: unknown[]; indexes: number[] } | null {
  const { dictionary, indexes } = useDictionary(
    values,
    'DOUBLE',
    undefined,
    undefined,
    undefined,
    true,
  )
  return dictionary && indexes ? { entries: dictionary as unknown[], indexes } : null
}

const HEADER_NUMBERS = 3

/**
 * DELTA_BINARY_PACKED of INT64: the first value, then the deltas. Values within 32 bits of the
 * first are packed as distances from the first value: a BigInt for each value takes ten times as
 * long. The first distance in the header is always 0; the first value replaces it.
 */
export function encodeDeltas(values: number[]): Uint8Array {
  const first = values[0]!
  const distances = new Int32Array(values.length)
  const writer = new ByteWriter()
  for (let index = 0; index < values.length; index++) {
    const distance = values[index]! - first
    distances[index] = distance
    if (distances[index] === distance) continue
    deltaBinaryPack(writer, BigInt64Array.from(values, BigInt), 'INT64')
    return writer.getBytes()
  }
  const packed = new ByteWriter()
  deltaBinaryPack(packed, distances, 'INT64')
  const bytes = packed.getBytes()
  // The last byte of each varint is below 128. After three varints the header has the first
  // distance, 0, in one byte.
  let headerBytes = 0
  for (let numbers = 0; numbers < HEADER_NUMBERS; headerBytes++) {
    if (bytes[headerBytes]! < 128) numbers++
  }
  writer.appendBytes(bytes.subarray(0, headerBytes))
  writer.appendZigZag(BigInt(first))
  writer.appendBytes(bytes.subarray(headerBytes + 1))
  return writer.getBytes()
}
