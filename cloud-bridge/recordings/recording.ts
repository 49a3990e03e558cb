import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { CsvError, type InfoRecord, parse } from 'csv-parse'
import { CannotStart } from '../../config/process/lifetime.ts'
import {
  type DecimalMark,
  type ParsedCell,
  parseNumber,
  parseTime,
  RecordingError,
  shown,
} from './cells.ts'

/**
 * One row: its time (ms since 1970), and its cells by column. The column of times is there as the
 * file wrote it.
 */
export type RecordedReading = {
  /** The line of the row in the file. */
  line: number
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
  /**
   * The decimal mark of all numbers. By default a point; in a file with semicolons or tabs, the
   * mark of the first number that has one.
   */
  decimal?: 'point' | 'comma'
  /** The only columns that contain numbers; without the option, all columns that are no text. */
  numberColumns?: readonly string[]
  /** Called for each row with a fault, which is left out; without the option, a fault throws. */
  onFault?: (fault: RecordingError) => void
  /** Names that a column may not have. */
  reservedNames?: readonly string[]
}

/** What a recording is a recording of. */
export type RecordedDevice = { site: string; zone: string; name: string }

/** An open recording. Its rows can be read once, in order. */
export type Recording = AsyncDisposable & {
  readonly file: string
  readonly device: RecordedDevice
  readonly columns: readonly string[]
  readonly timeColumn: string
  readonly rows: AsyncIterableIterator<RecordedReading>
}

const timeNames = ['timestamp', 'time', 'datetime', 'date', 'ts']
const HEADER_MAX_BYTES = 65_536
const ROW_MAX_CHARACTERS = 1_000_000

/**
 * The delimiter of a CSV file: the first of semicolon and tab that the header contains outside
 * quotes, otherwise a comma.
 */
export function delimiterOf(header: string): ',' | ';' | '\t' {
  const unquoted = header.replaceAll(/"[^"]*"/g, '')
  return unquoted.includes(';') ? ';' : unquoted.includes('\t') ? '\t' : ','
}

async function readHeader(file: string): Promise<string> {
  await using handle = await openFile(file)
  const { buffer, bytesRead } = await handle.read(
    Buffer.alloc(HEADER_MAX_BYTES),
    0,
    HEADER_MAX_BYTES,
    0,
  )
  if (buffer.subarray(0, bytesRead).includes(0)) {
    const cure = 'name a CSV file; a spreadsheet must be saved as CSV in UTF-8 first'
    throw new RecordingError(file, 1, undefined, 'the file is no text', cure)
  }
  return buffer.toString('utf8', 0, bytesRead).split(/\r?\n|\r/, 1)[0]!
}

async function openFile(file: string) {
  try {
    const handle = await open(file)
    if (!(await handle.stat()).isDirectory()) return handle
    await handle.close()
    throw new CannotStart(`${file} is a folder and no archive: name the files in the folder`)
  } catch (error) {
    if (error instanceof CannotStart) throw error
    const { message } = error as Error
    throw new CannotStart(`the recording ${file} cannot be read: ${message}`, { cause: error })
  }
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
      trim: delimiter !== '\t',
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

type CheckedColumns = { columns: readonly string[]; reservedNames: readonly string[] }

function checkColumns(file: string, line: number, { columns, reservedNames }: CheckedColumns) {
  for (const [at, column] of columns.entries()) {
    const fault =
      (column === '' && `column ${at + 1} has no name`) ||
      (columns.indexOf(column) < at && `two columns are named "${shown(column)}"`) ||
      (reservedNames.includes(column) && `"${column}" is written by Sluice itself`)
    if (fault)
      throw new RecordingError(file, line, undefined, fault, 'rename the column in the header')
  }
}

/**
 * The name of the column of times: `given`, or the first usual name. Throws a RecordingError when
 * there is no such column.
 */
export function timeColumnOf(
  file: string,
  line: number,
  columns: readonly string[],
  given?: string,
) {
  const candidates =
    given === undefined
      ? timeNames.map(name => columns.find(column => column.toLowerCase() === name))
      : [columns.find(column => column === given)]
  const timeColumn = candidates.find(column => column !== undefined)
  if (timeColumn !== undefined) return timeColumn
  const missing =
    given === undefined ? `none of ${timeNames.join(', ')}` : `no column "${shown(given)}"`
  throw new RecordingError(
    file,
    line,
    undefined,
    `the header (${shown(columns.join(', '))}) has ${missing}`,
    'name the column that holds the time: --time-column NAME',
  )
}

type Layout = {
  file: string
  /** The decimal mark; undefined until a number has one. */
  decimalMark: DecimalMark | undefined
  columns: readonly string[]
  timeColumn: string
  textColumns: readonly string[]
  numberColumns: readonly string[] | undefined
  onFault: ((fault: RecordingError) => void) | undefined
}

/** Parses one row. An empty cell gives no measurement; an empty time gives no observation time. */
function readingOf(layout: Layout, { info, record }: Row): RecordedReading {
  const { file, columns } = layout
  const number = (text: string) => {
    layout.decimalMark ??= decimalMarkIn(text)
    return parseNumber(text, layout.decimalMark)
  }
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
    const isText =
      column === layout.timeColumn ||
      layout.textColumns.includes(column) ||
      layout.numberColumns?.includes(column) === false
    measurements[column] = isText ? text : unwrap(column, number(text))
  }
  const { lines: line } = info
  return observedAt === undefined ? { line, measurements } : { line, observedAt, measurements }
}

/** The decimal mark of a number; undefined when the text has none or more than one. */
function decimalMarkIn(text: string): DecimalMark | undefined {
  const [, mark] = /^[+-]?\d*([.,])\d+$/.exec(text) ?? []
  return mark as DecimalMark | undefined
}

const decimalMarks = { point: '.', comma: ',' } as const

async function* readings(layout: Layout, rows: AsyncIterable<Row>) {
  for await (const row of rows) {
    let reading: RecordedReading
    try {
      reading = readingOf(layout, row)
    } catch (error) {
      if (!layout.onFault || !(error instanceof RecordingError)) throw error
      layout.onFault(error)
      continue
    }
    yield reading
  }
}

/**
 * Opens a CSV recording and reads its header. The file has a header line, one column of times,
 * numbers in the other columns, and commas, semicolons or tabs as delimiters. Rows are streamed;
 * the complete file is never in memory. Throws a RecordingError, at once for a fault in the header
 * and later for a fault in a row. Rejects with CannotStart when the file cannot be read.
 */
export async function openRecording(
  file: string,
  options: RecordingOptions = {},
): Promise<Recording> {
  const delimiter = delimiterOf(await readHeader(file))
  const rows = parseRows(file, delimiter)
  const first = await rows.next()
  if (first.done) {
    const cure = 'give it a header line such as timestamp,co2,temperature'
    throw new RecordingError(file, 1, undefined, 'the file is empty', cure)
  }
  const columns = first.value.record
  const line = first.value.info.lines
  const name = basename(file, extname(file))
  try {
    checkColumns(file, line, { columns, reservedNames: options.reservedNames ?? [] })
    const timeColumn = timeColumnOf(file, line, columns, options.timeColumn)
    const decimal = options.decimal ?? (delimiter === ',' ? 'point' : undefined)
    const decimalMark = decimal && decimalMarks[decimal]
    const { site = 'recording', zone = name, device = name, textColumns = [] } = options
    const { numberColumns, onFault } = options
    const layout = { file, columns, timeColumn, numberColumns, onFault }
    return {
      file,
      columns,
      timeColumn,
      device: { site, zone, name: device },
      rows: readings({ ...layout, decimalMark, textColumns }, rows),
      async [Symbol.asyncDispose]() {
        await rows.return(undefined)
      },
    }
  } catch (error) {
    await rows.return(undefined)
    throw error
  }
}
