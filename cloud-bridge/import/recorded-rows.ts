import { readFile } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { CannotStart } from '../../config/process/lifetime.ts'
import { readForeignParquet } from '../consumers/archive/parquet/foreign-parquet.ts'
import { parseTime, RecordingError, shown } from '../recordings/cells.ts'
import { openRecording, type RecordingOptions, timeColumnOf } from '../recordings/recording.ts'
import {
  type Cell,
  type ColumnMapping,
  columnsOf,
  type RecordedRow,
  textColumnsOf,
} from './imported-event.ts'

type ColumnOption = 'site' | 'zone' | 'device' | 'timeColumn' | 'textColumns' | 'decimal'

export type RowOptions = { [option in ColumnOption]?: RecordingOptions[option] | undefined } & {
  mapping: ColumnMapping
  /** Called for each row with a fault; the row is left out. */
  onFault(fault: RecordingError): void
}

/**
 * Yields the rows of a CSV recording or a Parquet file, in order. Throws a RecordingError for a
 * fault in the header, and CannotStart when the file cannot be read.
 */
export function readRows(file: string, options: RowOptions): AsyncGenerator<RecordedRow> {
  const isParquet = extname(file).toLowerCase() === '.parquet'
  return isParquet ? readParquetRows(file, options) : readCsvRows(file, options)
}

async function* readCsvRows(file: string, options: RowOptions): AsyncGenerator<RecordedRow> {
  const { mapping, onFault, textColumns = [], ...recordingOptions } = options
  const numbers = mapping.valueColumn ? [mapping.valueColumn] : mapping.metrics?.keys()
  await using recording = await openRecording(file, {
    ...Object.fromEntries(Object.entries(recordingOptions).filter(([, value]) => value)),
    textColumns: [...textColumns, ...textColumnsOf(mapping)],
    ...(numbers && { numberColumns: [...numbers] }),
    onFault,
  })
  const { device, timeColumn } = recording
  requireColumns(file, recording.columns, mapping)
  for await (const { line, observedAt, measurements } of recording.rows) {
    const { [timeColumn]: _, ...cells } = measurements
    if (observedAt === undefined) onFault(noTimeFault(file, line, timeColumn))
    else yield { file, line, timeMs: observedAt, device, format: 'csv', cells }
  }
}

async function* readParquetRows(file: string, options: RowOptions): AsyncGenerator<RecordedRow> {
  const { mapping, onFault } = options
  const name = basename(file, extname(file))
  const { site = 'recording', zone = name, device = name } = options
  const { columns, rows } = await readParquetFile(file)
  const timeColumn = timeColumnOf(file, 1, columns, options.timeColumn)
  requireColumns(file, columns, mapping)
  for (const [index, row] of rows.entries()) {
    const { [timeColumn]: time, ...others } = row
    const line = index + 1
    const timeMs = timeOf(time)
    if (timeMs === null) {
      onFault(noTimeFault(file, line, timeColumn))
      continue
    }
    const cells = Object.fromEntries(
      Object.entries(others).flatMap(([column, value]) => {
        const cell = cellOf(value)
        return cell === null ? [] : [[column, cell]]
      }),
    )
    const address = { site, zone, name: device }
    yield { file, line, timeMs, device: address, format: 'parquet', cells }
  }
}

async function readParquetFile(file: string) {
  try {
    return await readForeignParquet(await readFile(file))
  } catch (error) {
    const { message } = error as Error
    throw new CannotStart(`the recording ${file} cannot be read: ${message}`, { cause: error })
  }
}

function requireColumns(file: string, columns: readonly string[], mapping: ColumnMapping): void {
  const missing = columnsOf(mapping).find(column => !columns.includes(column))
  if (missing === undefined) return
  const fault = `the header (${shown(columns.join(', '))}) has no column "${shown(missing)}"`
  throw new RecordingError(file, 1, undefined, fault, 'correct the option that names the column')
}

function noTimeFault(file: string, line: number, timeColumn: string): RecordingError {
  return new RecordingError(file, line, timeColumn, 'the row has no time', 'write a time')
}

function timeOf(value: unknown): number | null {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.getTime()
  if (!['number', 'bigint', 'string'].includes(typeof value)) return null
  const parsed = parseTime(String(value))
  return 'value' in parsed ? parsed.value : null
}

/** The value of a cell; null for a missing value, a list or a struct. */
function cellOf(value: unknown): Cell | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value === 'boolean' || typeof value === 'string') return value
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (typeof value !== 'bigint') return null
  return BigInt(Number(value)) === value ? Number(value) : String(value)
}
