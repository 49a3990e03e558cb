import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { writeColumn } from 'hyparquet-writer/src/column.js'
import type { SensorReading } from '../../../config/events.ts'
import { type Archived, type LeafValues, leaves, maxLevelOf, schema } from './columns.ts'

const PAGE_BYTES = 1024 * 1024
const compressors = { ZSTD: (input: Uint8Array) => zstdCompressSync(input) }

/**
 * Events on their way into a file. They are taken apart at once, because as objects they would be
 * garbage that is collected late.
 */
export class EventColumns {
  readonly #leaves: LeafValues[] = leaves.map(() => ({
    ...{ values: [], definitionLevels: [], repetitionLevels: [], known: new Map() },
  }))
  rows = 0

  add(row: Archived): void {
    for (let at = 0; at < leaves.length; at++) leaves[at]!.add(row, this.#leaves[at]!)
    this.rows++
  }

  /** A Parquet file of them, compressed with zstd. Times are in ms, adjusted to UTC. */
  toParquet(): Uint8Array {
    const writer = new ByteWriter()
    const file = new ParquetWriter({
      ...{ writer, schema, codec: 'ZSTD', compressors, createdBy: 'sluice' },
    })
    const begin = writer.offset
    const chunks = leaves.map((leaf, at) => {
      const maxDefinitionLevel = maxLevelOf(leaf)
      const written = writeColumn({
        writer,
        column: {
          columnName: leaf.path
            .slice(1)
            .map(({ name }) => name)
            .join('.'),
          element: leaf.path.at(-1)!,
          schemaPath: leaf.path,
          ...{ codec: 'ZSTD', compressors, pageSize: PAGE_BYTES },
          ...{ stats: leaf.hasRange ?? false, columnIndex: false, offsetIndex: true },
          ...(leaf.encoding && { encoding: leaf.encoding }),
        },
        pageData: { ...this.#leaves[at]!, maxDefinitionLevel },
      })
      file.pendingIndexes.push(written)
      return written.chunk
    })
    file.num_rows = BigInt(this.rows)
    file.row_groups.push({
      columns: chunks,
      num_rows: file.num_rows,
      total_byte_size: chunks.reduce(
        (sum, { meta_data }) => sum + (meta_data?.total_uncompressed_size ?? 0n),
        0n,
      ),
      total_compressed_size: BigInt(writer.offset - begin),
    })
    file.finish()
    return writer.getBytes()
  }
}

type Row = Omit<SensorReading, 'epoch' | 'sequence' | 'zoneSequence'> & {
  epoch: bigint
  sequence: bigint
  zoneSequence: bigint
  kafkaTopic: string
  kafkaPartition: bigint
  kafkaOffset: bigint
  heardAt: number
}

/** The events of a file, as they were given to be written. Throws when it is none of ours. */
export async function readParquet(bytes: Uint8Array): Promise<Archived[]> {
  const rows = (await parquetReadObjects({
    file: bufferOf(bytes),
    compressors: { ZSTD: input => zstdDecompressSync(input) },
    // A Date has no years beyond 275,760, and a device's clock may say any.
    parsers: { timestampFromMilliseconds: Number },
  })) as Row[]
  return rows.map(({ kafkaTopic, kafkaPartition, kafkaOffset, heardAt, ...event }) => ({
    event: {
      ...event,
      epoch: Number(event.epoch),
      sequence: Number(event.sequence),
      zoneSequence: Number(event.zoneSequence),
    },
    topic: kafkaTopic,
    partition: Number(kafkaPartition),
    offset: Number(kafkaOffset),
    heardAt,
  }))
}

/** How many rows a file says that it has. Throws when it is no Parquet file. */
export const rowsIn = (bytes: Uint8Array): number =>
  Number(parquetMetadata(bufferOf(bytes)).num_rows)

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}
