import type { SchemaElement } from 'hyparquet'
import type { Measurement, SensorReading } from '../../../config/events.ts'

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
type Value = string | number | boolean | null

/** A column of values, as Parquet keeps them: without rows (Dremel, VLDB 2010). */
export type Leaf = {
  /** From the root of the schema to the column. */
  path: SchemaElement[]
  /** What one event brings. */
  add(row: Archived, to: LeafValues): void
  /** Whether a reader may skip by its lowest and highest value. */
  hasRange?: boolean
  encoding?: 'DELTA_BINARY_PACKED'
}
export type LeafValues = {
  values: Value[]
  /** How much of the path to each value is there; none where nothing on it can be missing. */
  definitionLevels: number[]
  /** 0 where an event begins; none where each has one value. */
  repetitionLevels: number[]
  /** Texts that came before: most come often, each time as an object of its own. */
  known: Map<Value, Value>
}

/** So many different texts of a column are remembered. */
const KNOWN_MAX = 1000

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

function pushTo({ values, known }: LeafValues, value: Value): void {
  const before = typeof value === 'string' ? known.get(value) : undefined
  values.push(before ?? value)
  if (before === undefined && typeof value === 'string' && known.size < KNOWN_MAX) {
    known.set(value, value)
  }
}

const always = (of: (row: Archived) => Value): Leaf['add'] => {
  return (row, to) => pushTo(to, of(row))
}
const sometimes = (of: (row: Archived) => Value): Leaf['add'] => {
  return (row, { values, definitionLevels }) => {
    const value = of(row)
    values.push(value)
    definitionLevels.push(value === null ? 0 : 1)
  }
}
/** Of each measurement; the list itself is one step of the path, and a value that may be null. */
const each = (field: keyof Measurement, isOptional: boolean): Leaf['add'] => {
  return ({ event }, to) => {
    const { values, definitionLevels, repetitionLevels } = to
    const found = event.measurements
    if (found.length === 0) {
      values.push(null)
      definitionLevels.push(0)
      repetitionLevels.push(0)
    }
    for (let at = 0; at < found.length; at++) {
      const value = found[at]![field]
      pushTo(to, value)
      definitionLevels.push(isOptional && value !== null ? 2 : 1)
      repetitionLevels.push(at === 0 ? 0 : 1)
    }
  }
}

const text = (name: string, of: (row: Archived) => Value, hasRange = true): Leaf => ({
  ...{ path: [root, needed(name, TEXT)], add: always(of), hasRange },
})
const long = (name: string, of: (row: Archived) => number, kind = LONG): Leaf => ({
  path: [root, needed(name, kind)],
  add: (row, { values }) => void values.push(of(row)),
  ...{ hasRange: true, encoding: 'DELTA_BINARY_PACKED' },
})
const measured = (field: keyof Measurement, kind: Kind, isOptional = true): Leaf => ({
  path: [root, measurements, list, element, (isOptional ? optional : needed)(field, kind)],
  add: each(field, isOptional),
})

/** The columns of a file: all fields of an event, and what Kafka knows of it. */
export const leaves: readonly Leaf[] = [
  {
    path: [root, needed('id', TEXT)],
    add: ({ event }, { values }) => void values.push(event.id),
  },
  text('gateway', ({ event }) => event.gateway),
  long('epoch', ({ event }) => event.epoch),
  long('sequence', ({ event }) => event.sequence),
  long('zoneSequence', ({ event }) => event.zoneSequence),
  text('site', ({ event }) => event.site),
  text('zone', ({ event }) => event.zone),
  text('device', ({ event }) => event.device),
  {
    path: [root, optional('observedAt', TIME)],
    add: sometimes(({ event }) => event.observedAt),
    hasRange: true,
  },
  long('receivedAt', ({ event }) => event.receivedAt, TIME),
  text('clock', ({ event }) => event.clock, false),
  measured('metric', TEXT, false),
  measured('number', { type: 'DOUBLE' }),
  measured('flag', { type: 'BOOLEAN' }),
  measured('text', TEXT),
  measured('unit', TEXT),
  { path: [root, source, needed('topic', TEXT)], add: always(({ event }) => event.source.topic) },
  { path: [root, source, needed('format', TEXT)], add: always(({ event }) => event.source.format) },
  {
    path: [root, optional('traceparent', TEXT)],
    add: sometimes(({ event }) => event.traceparent),
  },
  text('kafkaTopic', ({ topic }) => topic),
  long('kafkaPartition', ({ partition }) => partition),
  long('kafkaOffset', ({ offset }) => offset),
  long('heardAt', ({ heardAt }) => heardAt, TIME),
]

/** The schema of a file, depth first. */
export const schema: SchemaElement[] = [...new Set(leaves.flatMap(({ path }) => path))]

/** How many steps of a path can be missing. */
export const maxLevelOf = ({ path }: Leaf): number =>
  path.slice(1).filter(({ repetition_type }) => repetition_type !== 'REQUIRED').length
