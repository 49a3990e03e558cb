import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ByteWriter } from 'hyparquet-writer'
import { describe, expect, it } from 'vitest'
import {
  bitWidthOf,
  encodeDeltas,
  encodeIndexes,
  encodePlain,
  encodeRle,
  findDictionary,
  writePageHeader,
} from '../../../../../cloud-bridge/consumers/archive/parquet/parquet-encodings.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** A library that changes a private module breaks one of these; the bytes are the format's. */
describe('the encodings of hyparquet-writer', () => {
  it('PLAIN: texts with their length, doubles and flags in little endian', () => {
    expect(hex(encodePlain(['a', 'é'], 'BYTE_ARRAY'))).toBe('010000006102000000c3a9')
    expect(hex(encodePlain([1.5], 'DOUBLE'))).toBe('000000000000f83f')
    expect(hex(encodePlain([true, false, true], 'BOOLEAN'))).toBe('05')
  })

  it('RLE: a run has its length and its value', () => {
    expect(hex(encodeRle(new Uint8Array(100).fill(1), 1))).toBe('c80101')
  })

  it('RLE_DICTIONARY: the bit width comes first', () => {
    expect(hex(encodeIndexes(Array(100).fill(2), 3))).toBe('02c80102')
    expect([0, 1, 2, 255, 256].map(bitWidthOf)).toEqual([0, 1, 2, 8, 9])
  })

  it('DELTA_BINARY_PACKED: block size, miniblocks, count, first value, deltas', () => {
    // 128 and 4, 3 values, 1000 as a zigzag varint, a smallest delta of 1, and 4 bit widths of 0.
    expect(hex(encodeDeltas([1000, 1001, 1002]))).toBe('800104' + '03' + 'd00f' + '02' + '00000000')
    // A first value beyond 32 bits, whose distances are within them.
    expect(hex(encodeDeltas([2 ** 47, 2 ** 47 + 1]))).toBe(
      '800104' + '02' + '80808080808040' + '02' + '00000000',
    )
    // Distances beyond 32 bits: the same form, from BigInts.
    expect(hex(encodeDeltas([0, 2 ** 40]))).toBe(
      '800104' + '02' + '00' + '808080808040' + '00000000',
    )
  })

  it('finds a dictionary of doubles that repeat, and none of doubles that do not', () => {
    const repeating = Array.from({ length: 1000 }, (_, index) => 20.5 + (index % 2))
    expect(findDictionary(repeating)).toEqual({
      entries: [20.5, 21.5],
      indexes: repeating.map(value => value - 20.5),
    })
    expect(findDictionary(Array.from({ length: 1000 }, (_, index) => index / 7))).toBeNull()
  })

  it('writes the header of a page in the compact Thrift protocol', () => {
    const writer = new ByteWriter()
    writePageHeader(writer, {
      ...{ type: 'DATA_PAGE_V2', uncompressed_page_size: 10, compressed_page_size: 9 },
      data_page_header_v2: {
        ...{ num_values: 5, num_nulls: 1, num_rows: 4, encoding: 'DELTA_BINARY_PACKED' },
        ...{ definition_levels_byte_length: 2, repetition_levels_byte_length: 3 },
        is_compressed: false,
      },
    })
    // Page type 3, sizes 10 and 9 in zigzag; then the fields of DataPageHeaderV2, and two stops.
    expect(hex(writer.getBytes())).toBe(
      '150615141512' + '5c' + '150a15021508150a15041506' + '12' + '0000',
    )
  })

  it('has one file that imports private modules of the library', () => {
    const folder = fileURLToPath(
      new URL('../../../../../cloud-bridge/consumers/archive/parquet', import.meta.url),
    )
    const importing = readdirSync(folder).filter(name =>
      readFileSync(join(folder, name), 'utf8').includes("'hyparquet-writer/"),
    )
    expect(importing).toEqual(['parquet-encodings.ts'])
  })
})
