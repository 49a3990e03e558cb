import { zstdDecompressSync } from 'node:zlib'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { writeColumnChunk } from './column-chunk.ts'
import { type ArchivedEvent, columnDefinitions, schema } from './columns.ts'
import { Levels } from './levels.ts'

/** The events of a file that is not written yet, stored column by column. */
export class EventColumns {
  readonly #columns = columnDefinitions.map(({ createColumn }) => createColumn())
  /** The repetition levels of measurements: 0 for the first one of an event, 1 for the others. */
  readonly #repetition = new Levels()
  rows = 0

  add(row: ArchivedEvent): void {
    for (let index = 0; index < columnDefinitions.length; index++) this.#columns[index]!.add(row)
    this.#repetition.add(0)
    for (let nth = 1; nth < row.event.measurements.length; nth++) this.#repetition.add(1)
    this.rows++
  }

  /**
   * The events as a Parquet file, compressed with zstd. Times are in ms, adjusted to UTC. With
   * `isSmall`, compression takes longer and the file is smaller.
   */
  toParquet({ isSmall = false } = {}): Uint8Array {
    const writer = new ByteWriter()
    const file = new ParquetWriter({
      ...{ writer, schema, codec: 'ZSTD', createdBy: 'sluice' },
      // The writer would shorten texts, and some readers take a shortened text for a value.
      statisticsTruncateLength: Number.POSITIVE_INFINITY,
    })
    const groupStart = writer.offset
    const repetitionLevels = this.#repetition.encode(1)
    const columns = this.#columns.map(({ values, definition }, index) => {
      const { path, isList } = columnDefinitions[index]!
      const levels = { definition, repetition: isList ? repetitionLevels : null }
      const column = { path, values: values.encode(), ...levels, rows: this.rows, isSmall }
      return writeColumnChunk(writer, column)
    })
    file.num_rows = BigInt(this.rows)
    file.row_groups.push({
      columns,
      num_rows: file.num_rows,
      total_byte_size: columns.reduce(
        (sum, { meta_data }) => sum + meta_data!.total_uncompressed_size,
        0n,
      ),
      total_compressed_size: BigInt(writer.offset - groupStart),
    })
    file.finish()
    return writer.getBytes()
  }
}

/** A row as hyparquet reads it. */
type ParquetRow = Omit<SensorReading, 'epoch' | 'sequence' | 'zoneSequence'> & {
  epoch: bigint
  sequence: bigint
  zoneSequence: bigint
  kafkaTopic: string
  kafkaPartition: bigint
  kafkaOffset: bigint
  heardAt: number
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
/** Decodes a text with all its characters; the library's own decoder drops a leading U+FEFF. */
const decodeText = (bytes: Uint8Array | undefined) => (bytes ? decoder.decode(bytes) : undefined)

/**
 * Reads the events of a file of the archive, equal to the written events. Rejects when the bytes
 * are not a Parquet file.
 */
export async function readParquet(bytes: Uint8Array): Promise<ArchivedEvent[]> {
  const rows = (await parquetReadObjects({
    file: toArrayBuffer(bytes),
    compressors: { ZSTD: input => zstdDecompressSync(input) },
    // Times stay numbers: a Date ends with the year 275,760, and a device's clock may show any
    // year.
    parsers: { timestampFromMilliseconds: Number, stringFromBytes: decodeText },
  })) as ParquetRow[]
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
    appendTimeMs: heardAt,
  }))
}

/**
 * The number of rows according to a file's metadata. Throws when the bytes are not a Parquet file.
 */
export const rowCountOf = (bytes: Uint8Array): number =>
  Number(parquetMetadata(toArrayBuffer(bytes)).num_rows)

function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}
