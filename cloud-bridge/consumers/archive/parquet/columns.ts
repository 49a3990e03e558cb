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

/** An event as the archive keeps it: with where it stood in Kafka, and when Kafka got it. */
export type ArchivedEvent = {
  event: SensorReading
  topic: string
  partition: number
  offset: number
  /** Ms since 1970. */
  heardAt: number
}

type Kind = Partial<SchemaElement>

/** A column of a file on its way. */
export type Column = {
  values: Pick<ValueBuffer<unknown>, 'encoded'>
  /** Where something on the path to a value can be missing. */
  definition: Levels | null
  /** What one event brings. */
  add(row: ArchivedEvent): void
}

/** A column of every file. */
export type ColumnDefinition = {
  /** From the root of the schema to the column. */
  path: SchemaElement[]
  start(): Column
  /** Whether it has a value for each measurement. */
  isList?: boolean
}

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

const needed = (name: string, kind: Kind): SchemaElement => ({
  ...{ name, repetition_type: 'REQUIRED' },
  ...kind,
})
const optional = (name: string, kind: Kind): SchemaElement => ({
  ...{ name, repetition_type: 'OPTIONAL' },
  ...kind,
})

const root: SchemaElement = { name: 'event', num_children: 18 }
const source = needed('source', { num_children: 2 })
const measurements = needed('measurements', {
  ...{ converted_type: 'LIST', logical_type: { type: 'LIST' }, num_children: 1 },
})
const list: SchemaElement = { name: 'list', repetition_type: 'REPEATED', num_children: 1 }
const element = needed('element', { num_children: 5 })

type Start<T> = () => ValueBuffer<T>

const texts: Start<string> = () => new TextValues()
const names: Start<string> = () => new DictionaryTextValues(true)
const unranged: Start<string> = () => new DictionaryTextValues(false)
const longs: Start<number> = () => new LongValues()

const always = <T>(start: Start<T>, of: (row: ArchivedEvent) => T) => ({
  start(): Column {
    const values = start()
    return { values, definition: null, add: row => values.add(of(row)) }
  },
})
const sometimes = <T>(start: Start<T>, of: (row: ArchivedEvent) => T | null) => ({
  start(): Column {
    const values = start()
    const definition = new Levels()
    const add = (row: ArchivedEvent) => {
      const value = of(row)
      definition.add(value === null ? 0 : 1)
      if (value !== null) values.add(value)
    }
    return { values, definition, add }
  },
})
/** Of each measurement; the list itself is one step of the path, and a value that may be null. */
const each = <T>(start: Start<T>, of: (one: Measurement) => T | null, isOptional = true) => ({
  isList: true,
  start(): Column {
    const values = start()
    const definition = new Levels()
    const add = ({ event: { measurements } }: ArchivedEvent) => {
      if (measurements.length === 0) definition.add(0)
      for (let at = 0; at < measurements.length; at++) {
        const value = of(measurements[at]!)
        definition.add(isOptional && value !== null ? 2 : 1)
        if (value !== null) values.add(value)
      }
    }
    return { values, definition, add }
  },
})

const text = (
  name: string,
  of: (row: ArchivedEvent) => string,
  start = names,
): ColumnDefinition => ({
  ...{ path: [root, needed(name, TEXT)], ...always(start, of) },
})
const long = (name: string, of: (row: ArchivedEvent) => number, kind = LONG): ColumnDefinition => ({
  ...{ path: [root, needed(name, kind)], ...always(longs, of) },
})
const measured = (
  of: SchemaElement,
  column: Pick<ColumnDefinition, 'start' | 'isList'>,
): ColumnDefinition => ({
  ...{ path: [root, measurements, list, element, of], ...column },
})

/** The columns of a file: all fields of an event, and what Kafka knows of it. */
export const columnDefinitions: readonly ColumnDefinition[] = [
  text('id', ({ event }) => event.id, texts),
  text('gateway', ({ event }) => event.gateway),
  long('epoch', ({ event }) => event.epoch),
  long('sequence', ({ event }) => event.sequence),
  long('zoneSequence', ({ event }) => event.zoneSequence),
  text('site', ({ event }) => event.site),
  text('zone', ({ event }) => event.zone),
  text('device', ({ event }) => event.device),
  { path: [root, optional('observedAt', TIME)], ...sometimes(longs, row => row.event.observedAt) },
  long('receivedAt', ({ event }) => event.receivedAt, TIME),
  text('clock', ({ event }) => event.clock, unranged),
  measured(
    needed('metric', TEXT),
    each(unranged, ({ metric }) => metric, false),
  ),
  measured(
    optional('number', { type: 'DOUBLE' }),
    each(
      () => new DoubleValues(),
      ({ number }) => number,
    ),
  ),
  measured(
    optional('flag', { type: 'BOOLEAN' }),
    each(
      () => new FlagValues(),
      ({ flag }) => flag,
    ),
  ),
  measured(
    optional('text', TEXT),
    each(texts, ({ text }) => text),
  ),
  measured(
    optional('unit', TEXT),
    each(unranged, ({ unit }) => unit),
  ),
  {
    path: [root, source, needed('topic', TEXT)],
    ...always(unranged, ({ event }) => event.source.topic),
  },
  {
    path: [root, source, needed('format', TEXT)],
    ...always(unranged, ({ event }) => event.source.format),
  },
  {
    path: [root, optional('traceparent', TEXT)],
    ...sometimes(texts, ({ event }) => event.traceparent),
  },
  text('kafkaTopic', ({ topic }) => topic),
  long('kafkaPartition', ({ partition }) => partition),
  long('kafkaOffset', ({ offset }) => offset),
  long('heardAt', ({ heardAt }) => heardAt, TIME),
]

/** The schema of a file, depth first. */
export const schema: SchemaElement[] = [...new Set(columnDefinitions.flatMap(({ path }) => path))]
