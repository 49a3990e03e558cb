import { zstdDecompressSync } from 'node:zlib'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { writeColumnChunk } from './chunk.ts'
import { type ArchivedEvent, columnDefinitions, schema } from './columns.ts'
import { Levels } from './levels.ts'

/** Events on their way into a file, which are taken apart as they come. */
export class EventColumns {
  readonly #columns = columnDefinitions.map(({ start }) => start())
  /** Where the list of measurements of an event begins: 0; 1 for what else is in it. */
  readonly #lists = new Levels()
  rows = 0

  add(row: ArchivedEvent): void {
    for (let at = 0; at < columnDefinitions.length; at++) this.#columns[at]!.add(row)
    this.#lists.add(0)
    for (let at = 1; at < row.event.measurements.length; at++) this.#lists.add(1)
    this.rows++
  }

  /** A Parquet file of them, compressed with zstd. Times are in ms, adjusted to UTC. */
  toParquet(): Uint8Array {
    const writer = new ByteWriter()
    const file = new ParquetWriter({ ...{ writer, schema, codec: 'ZSTD', createdBy: 'sluice' } })
    const begin = writer.offset
    const lists = this.#lists.encoded(1)
    const columns = this.#columns.map(({ values, definition }, at) => {
      const { path, isList } = columnDefinitions[at]!
      const levels = { definition, repetition: isList ? lists : null }
      return writeColumnChunk(writer, {
        path,
        values: values.encoded(),
        ...levels,
        rows: this.rows,
      })
    })
    file.num_rows = BigInt(this.rows)
    file.row_groups.push({
      columns,
      num_rows: file.num_rows,
      total_byte_size: columns.reduce(
        (sum, { meta_data }) => sum + meta_data!.total_uncompressed_size,
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
export async function readParquet(bytes: Uint8Array): Promise<ArchivedEvent[]> {
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
export const rowCountOf = (bytes: Uint8Array): number =>
  Number(parquetMetadata(bufferOf(bytes)).num_rows)

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}
