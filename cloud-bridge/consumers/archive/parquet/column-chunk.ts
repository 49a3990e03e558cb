import { constants, zstdCompressSync } from 'node:zlib'
import type { ColumnChunk, Encoding, SchemaElement } from 'hyparquet'
import type { ByteWriter } from 'hyparquet-writer'
import type { Levels } from './levels.ts'
import { bitWidthOf, writePageHeader } from './parquet-encodings.ts'
import type { EncodedValues } from './values.ts'

/** Smaller columns are not compressed: the saving would not be worth the time. */
const COMPRESSED_MIN_BYTES = 512
/** The fastest level; files are 3 % larger than at the default level. */
const FASTEST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
/** A good level for files that are written once and read often; twice the time of the default. */
const SMALL = { params: { [constants.ZSTD_c_compressionLevel]: 9 } }

/** A column of a file, with all its values. */
export type FilledColumn = {
  /** From the root of the schema to the column. */
  path: readonly SchemaElement[]
  values: EncodedValues
  /** The definition level of each value; null when nothing on the path can be missing. */
  definition: Levels | null
  /** The encoded repetition levels of a list's values; null outside of lists. */
  repetition: Uint8Array | null
  rows: number
  /** Whether a small file is worth more time. */
  isSmall: boolean
}

/** The highest definition level of a path: how many of its steps can be missing. */
export const maxLevelOf = (path: readonly SchemaElement[]): number =>
  path.slice(1).filter(({ repetition_type }) => repetition_type !== 'REQUIRED').length

/**
 * Writes a column as one page, because `fileMaxEvents` limits the size of a file already. Pages are
 * compressed with zstd when that is worth the time.
 */
export function writeColumnChunk(writer: ByteWriter, column: FilledColumn): ColumnChunk {
  const { path, values, definition, repetition, rows, isSmall } = column
  const { encoding, bytes, dictionary, range } = values
  const maxLevel = maxLevelOf(path)
  const chunkStart = writer.offset
  const sizeBytes = bytes.length + (dictionary?.bytes.length ?? 0)
  const isCompressed = sizeBytes >= COMPRESSED_MIN_BYTES
  const level = isSmall ? SMALL : FASTEST
  const compress = (page: Uint8Array) => (isCompressed ? zstdCompressSync(page, level) : page)
  let uncompressedBytes = 0
  if (dictionary) {
    const page = compress(dictionary.bytes)
    const headerStart = writer.offset
    writePageHeader(writer, {
      type: 'DICTIONARY_PAGE',
      uncompressed_page_size: dictionary.bytes.length,
      compressed_page_size: page.length,
      dictionary_page_header: { num_values: dictionary.count, encoding: 'PLAIN' },
    })
    uncompressedBytes += writer.offset - headerStart + dictionary.bytes.length
    writer.appendBytes(page)
  }
  const dataPageStart = writer.offset
  const page = compress(bytes)
  const repetitionLevels = repetition ?? new Uint8Array()
  const definitionLevels = definition?.encode(bitWidthOf(maxLevel)) ?? new Uint8Array()
  const levelBytes = repetitionLevels.length + definitionLevels.length
  const count = definition?.count ?? rows
  const nulls = definition ? count - definition.countOf(maxLevel) : 0
  writePageHeader(writer, {
    type: 'DATA_PAGE_V2',
    uncompressed_page_size: levelBytes + bytes.length,
    compressed_page_size: levelBytes + page.length,
    data_page_header_v2: {
      ...{ num_values: count, num_nulls: nulls, num_rows: rows, encoding },
      definition_levels_byte_length: definitionLevels.length,
      repetition_levels_byte_length: repetitionLevels.length,
      is_compressed: isCompressed,
    },
  })
  uncompressedBytes += writer.offset - dataPageStart + levelBytes + bytes.length
  for (const part of [repetitionLevels, definitionLevels, page]) writer.appendBytes(part)
  const encodings: Encoding[] = dictionary ? ['PLAIN', encoding] : [encoding]
  return {
    file_offset: BigInt(chunkStart),
    meta_data: {
      type: path.at(-1)!.type!,
      encodings,
      path_in_schema: path.slice(1).map(({ name }) => name),
      codec: isCompressed ? 'ZSTD' : 'UNCOMPRESSED',
      num_values: BigInt(count),
      total_compressed_size: BigInt(writer.offset - chunkStart),
      total_uncompressed_size: BigInt(uncompressedBytes),
      data_page_offset: BigInt(dataPageStart),
      ...(dictionary && { dictionary_page_offset: BigInt(chunkStart) }),
      statistics: {
        ...(range && { min_value: range[0], max_value: range[1] }),
        null_count: BigInt(nulls),
      } as never,
    },
  }
}
