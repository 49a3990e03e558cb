import { constants, zstdCompressSync } from 'node:zlib'
import type { ColumnChunk, Encoding, SchemaElement } from 'hyparquet'
import type { ByteWriter } from 'hyparquet-writer'
import { writePageHeader } from 'hyparquet-writer/src/datapage.js'
import type { Levels } from './levels.ts'
import { bitWidthOf, type EncodedValues } from './values.ts'

/** Below that, compressing takes longer than it is worth. */
const COMPRESSED_MIN_BYTES = 512
/** Files are 3 % larger than by default. */
const FASTEST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** A column of a file that is whole. */
export type FilledColumn = {
  /** From the root of the schema to the column. */
  path: readonly SchemaElement[]
  values: EncodedValues
  /** Of each value, where something on the path can be missing. */
  definition: Levels | null
  /** Of each value of a list, as they are written. */
  repetition: Uint8Array | null
  rows: number
}

/** How many steps of a path can be missing. */
export const maxLevelOf = (path: readonly SchemaElement[]): number =>
  path.slice(1).filter(({ repetition_type }) => repetition_type !== 'REQUIRED').length

/**
 * Writes a column as one page, because a file is bounded already; compressed with zstd where that
 * is worth it.
 */
export function writeColumnChunk(writer: ByteWriter, filled: FilledColumn): ColumnChunk {
  const { path, values, definition, repetition, rows } = filled
  const { encoding, bytes, dictionary, range } = values
  const maxLevel = maxLevelOf(path)
  const begin = writer.offset
  const sizeBytes = bytes.length + (dictionary?.bytes.length ?? 0)
  const isCompressed = sizeBytes >= COMPRESSED_MIN_BYTES
  const inFile = (page: Uint8Array) => (isCompressed ? zstdCompressSync(page, FASTEST) : page)
  let uncompressed = 0
  if (dictionary) {
    const page = inFile(dictionary.bytes)
    const headerAt = writer.offset
    writePageHeader(writer, {
      type: 'DICTIONARY_PAGE',
      uncompressed_page_size: dictionary.bytes.length,
      compressed_page_size: page.length,
      dictionary_page_header: { num_values: dictionary.count, encoding: 'PLAIN' },
    })
    uncompressed += writer.offset - headerAt + dictionary.bytes.length
    writer.appendBytes(page)
  }
  const dataAt = writer.offset
  const page = inFile(bytes)
  const lists = repetition ?? new Uint8Array()
  const levels = definition?.encoded(bitWidthOf(maxLevel)) ?? new Uint8Array()
  const levelBytes = lists.length + levels.length
  const count = definition?.count ?? rows
  const nulls = definition ? count - definition.countOf(maxLevel) : 0
  writePageHeader(writer, {
    type: 'DATA_PAGE_V2',
    uncompressed_page_size: levelBytes + bytes.length,
    compressed_page_size: levelBytes + page.length,
    data_page_header_v2: {
      ...{ num_values: count, num_nulls: nulls, num_rows: rows, encoding },
      definition_levels_byte_length: levels.length,
      repetition_levels_byte_length: lists.length,
      is_compressed: isCompressed,
    },
  })
  uncompressed += writer.offset - dataAt + levelBytes + bytes.length
  for (const one of [lists, levels, page]) writer.appendBytes(one)
  const encodings: Encoding[] = dictionary ? ['PLAIN', encoding] : [encoding]
  return {
    file_offset: BigInt(begin),
    meta_data: {
      type: path.at(-1)!.type!,
      encodings,
      path_in_schema: path.slice(1).map(({ name }) => name),
      codec: isCompressed ? 'ZSTD' : 'UNCOMPRESSED',
      num_values: BigInt(count),
      total_compressed_size: BigInt(writer.offset - begin),
      total_uncompressed_size: BigInt(uncompressed),
      data_page_offset: BigInt(dataAt),
      ...(dictionary && { dictionary_page_offset: BigInt(begin) }),
      ...(range && {
        statistics: {
          min_value: range[0],
          max_value: range[1],
          null_count: BigInt(nulls),
        } as never,
      }),
    },
  }
}
