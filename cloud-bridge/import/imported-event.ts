import { createHash } from 'node:crypto'
import type { Measurement, SensorReading } from '../../config/event/sensor-reading.ts'

/** A value of a row: a number, a truth value or a text. */
export type Cell = number | boolean | string

/** A row of a recording: its place for messages, its time and its cells by column. */
export type RecordedRow = {
  file: string
  line: number
  /** Ms since 1970. */
  timeMs: number
  /** The defaults of the file; a mapping may name columns instead. */
  device: { site: string; zone: string; name: string }
  format: 'csv' | 'parquet'
  cells: Readonly<Record<string, Cell>>
}

/** Which columns are which part of an event. */
export type ColumnMapping = {
  siteColumn?: string | undefined
  zoneColumn?: string | undefined
  deviceColumn?: string | undefined
  /** With `valueColumn`: each row has one measurement, and these columns have its parts. */
  metricColumn?: string | undefined
  valueColumn?: string | undefined
  unitColumn?: string | undefined
  /** The only columns to import, each with the name of its metric; otherwise all other columns. */
  metrics?: ReadonlyMap<string, string> | undefined
}

/** An event without the numbers of the import. */
export type ImportedEvent = Omit<SensorReading, 'gateway' | 'epoch' | 'sequence' | 'zoneSequence'>

/** The columns that a mapping names. */
export function columnsOf(mapping: ColumnMapping): string[] {
  const { metrics, ...columns } = mapping
  return [...Object.values(columns), ...(metrics?.keys() ?? [])].filter(
    column => column !== undefined,
  )
}

/** The columns of a mapping that contain text. */
export const textColumnsOf = (mapping: ColumnMapping): string[] =>
  [
    ...[mapping.siteColumn, mapping.zoneColumn, mapping.deviceColumn],
    ...[mapping.metricColumn, mapping.unitColumn],
  ].filter(column => column !== undefined)

/**
 * Turns a row into an event with the time of the row. The id follows from site, zone, device, time
 * and measurements, so the same row always gives the same id. Returns null for a row without a
 * measurement, and a fault for a row that lacks a part of its address.
 */
export function importedEventOf(
  row: RecordedRow,
  mapping: ColumnMapping,
): ImportedEvent | null | { fault: string } {
  const part = (column: string | undefined, byDefault: string) =>
    column === undefined ? byDefault : String(row.cells[column] ?? '')
  const site = part(mapping.siteColumn, row.device.site)
  const zone = part(mapping.zoneColumn, row.device.zone)
  const device = part(mapping.deviceColumn, row.device.name)
  if (site === '' || zone === '' || device === '') {
    return { fault: 'the row has no site, zone or device' }
  }
  const measurements = measurementsOf(row, mapping)
  if (measurements.length === 0) return null
  return {
    id: idOf([site, zone, device, row.timeMs, measurements]),
    ...{ site, zone, device, observedAt: row.timeMs, receivedAt: row.timeMs, clock: 'SYNCED' },
    measurements,
    source: { topic: `import/${site}/${zone}/${device}`, format: row.format },
    traceparent: null,
  }
}

function measurementsOf({ cells }: RecordedRow, mapping: ColumnMapping): Measurement[] {
  const { metricColumn, valueColumn, unitColumn, metrics } = mapping
  if (metricColumn !== undefined && valueColumn !== undefined) {
    const [metric, value] = [cells[metricColumn], cells[valueColumn]]
    const unit = unitColumn === undefined ? undefined : cells[unitColumn]
    if (metric === undefined || value === undefined) return []
    return [measurementOf(String(metric), value, unit === undefined ? null : String(unit))]
  }
  const address = textColumnsOf(mapping)
  return Object.entries(cells).flatMap(([column, value]) => {
    if (address.includes(column)) return []
    const metric = metrics ? metrics.get(column) : column
    return metric === undefined ? [] : [measurementOf(metric, value, null)]
  })
}

const measurementOf = (metric: string, value: Cell, unit: string | null): Measurement => ({
  metric,
  number: typeof value === 'number' ? value : null,
  flag: typeof value === 'boolean' ? value : null,
  text: typeof value === 'string' ? value : null,
  unit,
})

/** A UUID of version 8 (RFC 9562, section 5.8) from the SHA-256 of a content. */
function idOf(content: unknown): string {
  const bytes = createHash('sha256').update(JSON.stringify(content)).digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
