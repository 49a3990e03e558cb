import type { ExitCode } from '../../config/process/exit-codes.ts'
import { printable } from '../../config/process/text-format.ts'

/** A fault in a recording. The message gives file, line, column and cure. */
export class RecordingError extends Error {
  readonly ending: ExitCode = 'ERR_MISCONFIGURED'
  override readonly name = 'RecordingError'
  readonly file: string
  readonly line: number
  readonly column: string | undefined

  constructor(file: string, line: number, column: string | undefined, fault: string, cure: string) {
    const place = column === undefined ? `${file}:${line}` : `${file}:${line}, column "${column}"`
    super(`${place}: ${fault}: ${cure}`)
    this.file = file
    this.line = line
    this.column = column
  }
}

/** The value of a cell, or why the cell has no usable value. */
export type ParsedCell<T> =
  | { readonly value: T }
  | { readonly fault: string; readonly cure: string }

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i
const integer = /^[+-]?\d+$/
/** The character between the whole and the fractional digits of a number. */
export type DecimalMark = '.' | ','

const numberCure = (mark: DecimalMark) =>
  `write a number like 21${mark}5, leave the cell empty, or name the column in --text-columns`

/**
 * Parses a number without changing its value. An integer that a double cannot represent stays text,
 * as in the gateway; a number that is too large for a double is a fault. A number with the other
 * decimal mark is a fault as well, because that mark may separate thousands.
 */
export function parseNumber(cell: string, mark: DecimalMark = '.'): ParsedCell<number | string> {
  const cure = numberCure(mark)
  const hasOtherMark = mark === ',' && cell.includes('.')
  const text = mark === ',' ? cell.replace(',', '.') : cell
  if (hasOtherMark || !decimal.test(text)) {
    const other = mark === ',' ? 'point' : 'comma'
    const isOther = decimal.test(cell.replace(',', '.'))
    const hint = isOther ? ` with a decimal ${mark === ',' ? 'comma' : 'point'}` : ''
    const option = isOther ? `; or give --decimal ${other} if the whole file is so` : ''
    return { fault: `"${shown(cell)}" is not a number${hint}`, cure: `${cure}${option}` }
  }
  const value = Number(text)
  if (!Number.isFinite(value)) return { fault: `${shown(cell)} is too large`, cure }
  const isExact = !integer.test(text) || BigInt(text) === BigInt(value)
  return { value: isExact ? value : text }
}

const calendar =
  /^(\d{4}-\d\d-(\d\d))(?:[ T](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?) ?(Z|[+-]\d\d(?::?\d\d)?)?)?$/
/**
 * The largest number that is read as seconds since 1970; a larger number is milliseconds. Seconds
 * stay below this limit until the year 5138, and milliseconds have been above it since 1973.
 */
const SECONDS_MAX = 1e11
/** The time furthest from 1970 that a JavaScript Date has. */
const TIME_MAX_MS = 8.64e15
const timeCure =
  'write it like 2026-03-01 08:30:00 (UTC unless it says +01:00), or as seconds or ms since 1970'

/**
 * Parses a time to ms since 1970. A time without an offset is UTC; a date alone is its midnight.
 */
export function parseTime(text: string): ParsedCell<number> {
  const cure = timeCure
  if (decimal.test(text)) {
    const sinceEpoch = Number(text)
    const value = Math.abs(sinceEpoch) < SECONDS_MAX ? sinceEpoch * 1000 : sinceEpoch
    if (Math.abs(value) <= TIME_MAX_MS) return { value }
    return { fault: `"${shown(text)}" is not a time`, cure }
  }
  const [, date, day, time = '00:00', zone = 'Z'] = calendar.exec(text) ?? []
  const zoned = zone.length === 3 ? `${zone}:00` : zone.replace(/^(...)(\d\d)$/, '$1:$2')
  const value = Date.parse(`${date}T${time.replace(',', '.')}${zoned}`)
  // Date.parse reads 30 February as 1 March.
  const isValid = !Number.isNaN(value) && new Date(date!).getUTCDate() === Number(day)
  return isValid ? { value } : { fault: `"${shown(text)}" is not a time`, cure }
}

const SHOWN_MAX_LENGTH = 60

/** A text from a file as a message shows it: in printable characters, shortened. */
export function shown(text: string): string {
  const isLong = text.length > SHOWN_MAX_LENGTH
  return printable(isLong ? `${text.slice(0, SHOWN_MAX_LENGTH)}…` : text)
}
