import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import {
  type DecodedArray,
  parquetMetadata,
  parquetReadObjects,
  type SchemaElement,
} from 'hyparquet'
import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer'
import type { SensorReading } from '../../../config/events.ts'

/** An event as the archive keeps it: with where it stood in Kafka, and when Kafka got it. */
export type Archived = {
  event: SensorReading
  topic: string
  partition: number
  offset: number
  /** Ms since 1970. */
  heardAt: number
}

type Kind = Partial<SchemaElement>
type Column = { elements: SchemaElement[]; of(row: Archived): unknown } & Partial<ColumnSource>

const TEXT: Kind = {
  type: 'BYTE_ARRAY',
  converted_type: 'UTF8',
  logical_type: { type: 'STRING' },
}
const LONG: Kind = { type: 'INT64' }
const TIME: Kind = {
  type: 'INT64',
  converted_type: 'TIMESTAMP_MILLIS',
  logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
}
const ROW_GROUP_ROWS = 100_000
/** Whole numbers that mostly grow; those that fit 32 bits are fastest as they are. */
const GROWING: Partial<ColumnSource> = { encoding: 'DELTA_BINARY_PACKED' }
/** The lowest and highest value say nothing that a reader could skip by. */
const NO_RANGE: Partial<ColumnSource> = { statistics: false }

const needed = (name: string, kind: Kind): SchemaElement => ({
  ...{ name, repetition_type: 'REQUIRED' },
  ...kind,
})
const optional = (name: string, kind: Kind): SchemaElement => ({
  ...{ name, repetition_type: 'OPTIONAL' },
  ...kind,
})
const text = (name: string, of: Column['of'], more: Partial<ColumnSource> = {}): Column => ({
  ...{ elements: [needed(name, TEXT)], of },
  ...more,
})
const long = (name: string, of: (row: Archived) => number, kind = LONG): Column => ({
  ...{ elements: [needed(name, kind)], of },
  ...GROWING,
})

/** The columns of a file: all fields of an event, and what Kafka knows of it. */
const columns: readonly Column[] = [
  text('id', ({ event }) => event.id, NO_RANGE),
  text('gateway', ({ event }) => event.gateway),
  long('epoch', ({ event }) => event.epoch),
  long('sequence', ({ event }) => event.sequence),
  long('zoneSequence', ({ event }) => event.zoneSequence),
  text('site', ({ event }) => event.site),
  text('zone', ({ event }) => event.zone),
  text('device', ({ event }) => event.device),
  {
    elements: [optional('observedAt', TIME)],
    of: ({ event }) => event.observedAt,
  },
  long('receivedAt', ({ event }) => event.receivedAt, TIME),
  text('clock', ({ event }) => event.clock, NO_RANGE),
  {
    elements: [
      needed('measurements', {
        converted_type: 'LIST',
        logical_type: { type: 'LIST' },
        num_children: 1,
      }),
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      needed('element', { num_children: 5 }),
      needed('metric', TEXT),
      optional('number', { type: 'DOUBLE' }),
      optional('flag', { type: 'BOOLEAN' }),
      optional('text', TEXT),
      optional('unit', TEXT),
    ],
    of: ({ event }) => event.measurements,
    ...NO_RANGE,
  },
  {
    elements: [
      needed('source', { num_children: 2 }),
      needed('topic', TEXT),
      needed('format', TEXT),
    ],
    of: ({ event }) => event.source,
    ...NO_RANGE,
  },
  {
    elements: [optional('traceparent', TEXT)],
    of: ({ event }) => event.traceparent,
    ...NO_RANGE,
  },
  text('kafkaTopic', ({ topic }) => topic),
  long('kafkaPartition', ({ partition }) => partition),
  long('kafkaOffset', ({ offset }) => offset),
  long('heardAt', ({ heardAt }) => heardAt, TIME),
]

const schema: SchemaElement[] = [
  { name: 'event', num_children: columns.length },
  ...columns.flatMap(({ elements }) => elements),
]

/** A Parquet file of events, compressed with zstd. Times are in ms, adjusted to UTC. */
export function writeParquet(rows: readonly Archived[]): Uint8Array {
  const bytes = parquetWriteBuffer({
    schema,
    codec: 'ZSTD',
    compressors: { ZSTD: input => zstdCompressSync(input) },
    rowGroupSize: ROW_GROUP_ROWS,
    createdBy: 'sluice',
    columnData: columns.map(({ elements, of, ...column }) => ({
      ...column,
      name: elements[0]!.name,
      data: rows.map(of) as DecodedArray,
    })),
  })
  return new Uint8Array(bytes)
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
