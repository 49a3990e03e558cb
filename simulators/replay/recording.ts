import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { CsvError, type InfoRecord, parse } from 'csv-parse'
import type { DeviceAddress } from '../devices/devices.ts'
import { type ParsedCell, parseNumber, parseTime, RecordingError } from './cells.ts'

/**
 * One row: its time (ms since 1970), and its cells by column. The column of times is there as the
 * file wrote it.
 */
export type RecordedReading = {
  observedAt?: number
  measurements: Record<string, number | string>
}

export type RecordingOptions = {
  site?: string
  /** The zone of the recording; by default the file's name without its extension. */
  zone?: string
  device?: string
  /**
   * The name of the column of times; by default `timestamp`, `time`, `datetime`, `date` or `ts`, in
   * upper or lower case.
   */
  timeColumn?: string
  /** Names of columns that contain text; all other columns contain numbers. */
  textColumns?: readonly string[]
}

/** An open recording. Its rows can be read once, in order. */
export type Recording = AsyncDisposable & {
  readonly file: string
  readonly device: DeviceAddress
  readonly columns: readonly string[]
  readonly rows: AsyncIterableIterator<RecordedReading>
}

const timeNames = ['timestamp', 'time', 'datetime', 'date', 'ts']
const reservedNames = ['simulated_run', 'simulated_number']
const HEADER_MAX_BYTES = 65_536
const ROW_MAX_CHARACTERS = 1_000_000

/**
 * The delimiter of a CSV file: a semicolon if the header contains one outside quotes, otherwise a
 * comma.
 */
export function delimiterOf(header: string): ',' | ';' {
  return header.replaceAll(/"[^"]*"/g, '').includes(';') ? ';' : ','
}

async function readHeader(file: string): Promise<string> {
  await using handle = await open(file)
  const { buffer, bytesRead } = await handle.read(
    Buffer.alloc(HEADER_MAX_BYTES),
    0,
    HEADER_MAX_BYTES,
    0,
  )
  return buffer.toString('utf8', 0, bytesRead).split(/\r?\n|\r/, 1)[0]!
}

type Row = { readonly info: InfoRecord; readonly record: string[] }

/** Turns an error of csv-parse, which knows the line, into a RecordingError with a cure. */
function toRecordingError(file: string, error: unknown): unknown {
  if (!(error instanceof CsvError)) return error
  const line = typeof error.lines === 'number' ? error.lines : 1
  const cures: Partial<Record<string, string>> = {
    CSV_MAX_RECORD_SIZE: 'check that lines end, and that every quote is closed',
    CSV_QUOTE_NOT_CLOSED: 'close the quote',
  }
  const cure = cures[error.code] ?? 'put quotes around the whole cell and double those inside it'
  return new RecordingError(file, line, undefined, error.message, cure)
}

async function* parseRows(file: string, delimiter: string): AsyncGenerator<Row> {
  const source = createReadStream(file)
  const parser = source.pipe(
    parse({
      delimiter,
      bom: true,
      info: true,
      trim: true,
      skip_empty_lines: true,
      relax_column_count: true,
      max_record_size: ROW_MAX_CHARACTERS,
    }),
  )
  source.on('error', error => parser.destroy(error))
  try {
    yield* parser
  } catch (error) {
    throw toRecordingError(file, error)
  } finally {
    source.destroy()
  }
}

function checkColumns(file: string, line: number, columns: readonly string[]) {
  for (const [at, column] of columns.entries()) {
    const fault =
      (column === '' && `column ${at + 1} has no name`) ||
      (columns.indexOf(column) < at && `two columns are named "${column}"`) ||
      (reservedNames.includes(column) && `"${column}" is written by the simulator itself`)
    if (fault)
      throw new RecordingError(file, line, undefined, fault, 'rename the column in the header')
  }
}

function timeColumnOf(file: string, line: number, columns: readonly string[], given?: string) {
  const candidates =
    given === undefined
      ? timeNames.map(name => columns.find(column => column.toLowerCase() === name))
      : [columns.find(column => column === given)]
  const timeColumn = candidates.find(column => column !== undefined)
  if (timeColumn !== undefined) return timeColumn
  const [missing, name] =
    given === undefined
      ? [`none of ${timeNames.join(', ')}`, 'timestamp']
      : [`no column "${given}"`, given]
  throw new RecordingError(
    file,
    line,
    undefined,
    `the header (${columns.join(', ')}) has ${missing}`,
    `rename the column that holds the time to "${name}"`,
  )
}

type Layout = {
  file: string
  columns: readonly string[]
  timeColumn: string
  textColumns: readonly string[]
}

/** Parses one row. An empty cell gives no measurement; an empty time gives no observation time. */
function readingOf(layout: Layout, { info, record }: Row): RecordedReading {
  const { file, columns } = layout
  const fail = (column: string | undefined, fault: string, cure: string): never => {
    throw new RecordingError(file, info.lines, column, fault, cure)
  }
  const unwrap = <T>(column: string, cell: ParsedCell<T>): T =>
    'fault' in cell ? fail(column, cell.fault, cell.cure) : cell.value
  if (record.length !== columns.length) {
    const fault = `${record.length} cells under ${columns.length} columns`
    fail(undefined, fault, 'give every row as many cells as the header has (a cell may be empty)')
  }
  const measurements: Record<string, number | string> = {}
  let observedAt: number | undefined
  for (const [at, column] of columns.entries()) {
    const text = record[at]!
    if (text === '') continue
    if (column === layout.timeColumn) observedAt = unwrap(column, parseTime(text))
    const isText = column === layout.timeColumn || layout.textColumns.includes(column)
    measurements[column] = isText ? text : unwrap(column, parseNumber(text))
  }
  return observedAt === undefined ? { measurements } : { observedAt, measurements }
}

async function* readings(layout: Layout, rows: AsyncIterable<Row>) {
  for await (const row of rows) yield readingOf(layout, row)
}

/**
 * Opens a CSV recording and reads its header. The file has a header line, one column of times,
 * numbers in the other columns, and commas or semicolons as delimiters. Rows are streamed; the
 * complete file is never in memory. Throws a RecordingError, at once for a fault in the header and
 * later for a fault in a row.
 */
export async function openRecording(
  file: string,
  options: RecordingOptions = {},
): Promise<Recording> {
  const rows = parseRows(file, delimiterOf(await readHeader(file)))
  const first = await rows.next()
  if (first.done) {
    const cure = 'give it a header line such as timestamp,co2,temperature'
    throw new RecordingError(file, 1, undefined, 'the file is empty', cure)
  }
  const columns = first.value.record
  const line = first.value.info.lines
  const name = basename(file, extname(file))
  try {
    checkColumns(file, line, columns)
    const timeColumn = timeColumnOf(file, line, columns, options.timeColumn)
    const { site = 'recording', zone = name, device = name, textColumns = [] } = options
    return {
      file,
      columns,
      device: { site, zone, name: device },
      rows: readings({ file, columns, timeColumn, textColumns }, rows),
      async [Symbol.asyncDispose]() {
        await rows.return(undefined)
      },
    }
  } catch (error) {
    await rows.return(undefined)
    throw error
  }
}
