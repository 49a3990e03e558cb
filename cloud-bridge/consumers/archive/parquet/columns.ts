import type { SchemaElement } from 'hyparquet'
import type { Measurement, SensorReading } from '../../../../config/event/sensor-reading.ts'
import { Levels } from './levels.ts'
import {
  DictionaryTextValues,
  DoubleValues,
  FlagValues,
  LongValues,
  TextValues,
  type ValueBuffer,
} from './values.ts'

/** An event as the archive stores it: with its position and its append time in Kafka. */
export type ArchivedEvent = {
  event: SensorReading
  topic: string
  partition: number
  offset: number
  /** Ms since 1970. */
  appendTimeMs: number
}

type ElementKind = Partial<SchemaElement>

/** A column that is being filled. */
export type Column = {
  values: Pick<ValueBuffer<unknown>, 'encode'>
  /** The definition levels; null when nothing on the path to a value can be missing. */
  definition: Levels | null
  /** Adds the values of one event. */
  add(row: ArchivedEvent): void
}

/** The definition of a column of every file. */
export type ColumnDefinition = {
  /** From the root of the schema to the column. */
  path: SchemaElement[]
  createColumn(): Column
  /** Whether the column has a value for each measurement. */
  isList?: boolean
}

const TEXT: ElementKind = {
  type: 'BYTE_ARRAY',
  converted_type: 'UTF8',
  logical_type: { type: 'STRING' },
}
const LONG: ElementKind = { type: 'INT64' }
const TIME: ElementKind = {
  type: 'INT64',
  converted_type: 'TIMESTAMP_MILLIS',
  logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
}

const required = (name: string, kind: ElementKind): SchemaElement => ({
  ...{ name, repetition_type: 'REQUIRED' },
  ...kind,
})
const optional = (name: string, kind: ElementKind): SchemaElement => ({
  ...{ name, repetition_type: 'OPTIONAL' },
  ...kind,
})

const root: SchemaElement = { name: 'event' }
const source = required('source', {})
const measurements = required('measurements', {
  ...{ converted_type: 'LIST', logical_type: { type: 'LIST' } },
})
const list: SchemaElement = { name: 'list', repetition_type: 'REPEATED' }
const element = required('element', {})

type CreateBuffer<T> = () => ValueBuffer<T>

const uniqueTexts: CreateBuffer<string> = () => new TextValues()
const repeatedTexts: CreateBuffer<string> = () => new DictionaryTextValues()
const longs: CreateBuffer<number> = () => new LongValues()
const doubles: CreateBuffer<number> = () => new DoubleValues()
const flags: CreateBuffer<boolean> = () => new FlagValues()

const requiredColumn = <T>(createBuffer: CreateBuffer<T>, valueIn: (row: ArchivedEvent) => T) => ({
  createColumn(): Column {
    const values = createBuffer()
    return { values, definition: null, add: row => values.add(valueIn(row)) }
  },
})
const optionalColumn = <T>(
  createBuffer: CreateBuffer<T>,
  valueIn: (row: ArchivedEvent) => T | null,
) => ({
  createColumn(): Column {
    const values = createBuffer()
    const definition = new Levels()
    const add = (row: ArchivedEvent) => {
      const value = valueIn(row)
      definition.add(value === null ? 0 : 1)
      if (value !== null) values.add(value)
    }
    return { values, definition, add }
  },
})
/**
 * A column of the list of measurements. Its definition levels are 0 for an empty list and 1 for a
 * measurement. In an optional column a measurement with a value has the level 2.
 */
const listColumn = <T>(
  createBuffer: CreateBuffer<T>,
  valueIn: (measurement: Measurement) => T | null,
  isOptional = true,
) => ({
  isList: true,
  createColumn(): Column {
    const values = createBuffer()
    const definition = new Levels()
    const add = ({ event }: ArchivedEvent) => {
      if (event.measurements.length === 0) definition.add(0)
      for (let index = 0; index < event.measurements.length; index++) {
        const value = valueIn(event.measurements[index]!)
        definition.add(isOptional && value !== null ? 2 : 1)
        if (value !== null) values.add(value)
      }
    }
    return { values, definition, add }
  },
})

const text = (
  name: string,
  valueIn: (row: ArchivedEvent) => string,
  createBuffer = repeatedTexts,
): ColumnDefinition => ({
  ...{ path: [root, required(name, TEXT)], ...requiredColumn(createBuffer, valueIn) },
})
const long = (
  name: string,
  valueIn: (row: ArchivedEvent) => number,
  kind = LONG,
): ColumnDefinition => ({
  ...{ path: [root, required(name, kind)], ...requiredColumn(longs, valueIn) },
})
const ofMeasurement = (
  field: SchemaElement,
  column: Pick<ColumnDefinition, 'createColumn' | 'isList'>,
): ColumnDefinition => ({
  ...{ path: [root, measurements, list, element, field], ...column },
})

/** The columns of a file: all fields of an event, its position and its append time in Kafka. */
export const columnDefinitions: readonly ColumnDefinition[] = [
  text('id', ({ event }) => event.id, uniqueTexts),
  text('gateway', ({ event }) => event.gateway),
  long('epoch', ({ event }) => event.epoch),
  long('sequence', ({ event }) => event.sequence),
  long('zoneSequence', ({ event }) => event.zoneSequence),
  text('site', ({ event }) => event.site),
  text('zone', ({ event }) => event.zone),
  text('device', ({ event }) => event.device),
  {
    path: [root, optional('observedAt', TIME)],
    ...optionalColumn(longs, ({ event }) => event.observedAt),
  },
  long('receivedAt', ({ event }) => event.receivedAt, TIME),
  text('clock', ({ event }) => event.clock),
  ofMeasurement(
    required('metric', TEXT),
    listColumn(repeatedTexts, ({ metric }) => metric, false),
  ),
  ofMeasurement(
    optional('number', { type: 'DOUBLE' }),
    listColumn(doubles, ({ number }) => number),
  ),
  ofMeasurement(
    optional('flag', { type: 'BOOLEAN' }),
    listColumn(flags, ({ flag }) => flag),
  ),
  ofMeasurement(
    optional('text', TEXT),
    listColumn(uniqueTexts, ({ text }) => text),
  ),
  ofMeasurement(
    optional('unit', TEXT),
    listColumn(repeatedTexts, ({ unit }) => unit),
  ),
  {
    path: [root, source, required('topic', TEXT)],
    ...requiredColumn(repeatedTexts, ({ event }) => event.source.topic),
  },
  {
    path: [root, source, required('format', TEXT)],
    ...requiredColumn(repeatedTexts, ({ event }) => event.source.format),
  },
  {
    path: [root, optional('traceparent', TEXT)],
    ...optionalColumn(uniqueTexts, ({ event }) => event.traceparent),
  },
  text('kafkaTopic', ({ topic }) => topic),
  long('kafkaPartition', ({ partition }) => partition),
  long('kafkaOffset', ({ offset }) => offset),
  long('heardAt', ({ appendTimeMs }) => appendTimeMs, TIME),
]

const paths = columnDefinitions.map(({ path }) => path)
const childCount = (parent: SchemaElement) =>
  new Set(paths.filter(path => path.includes(parent)).map(path => path[path.indexOf(parent) + 1]))
    .size

/**
 * The schema of a file, depth first. An element that is not a column says how many children it has.
 */
export const schema: SchemaElement[] = [...new Set(paths.flat())].map(element => {
  const isColumn = paths.some(path => path.at(-1) === element)
  return isColumn ? element : { ...element, num_children: childCount(element) }
})
