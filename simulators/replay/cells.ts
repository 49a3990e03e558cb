/** A fault in a recording. The message gives file, line, column and cure. */
export class RecordingError extends Error {
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
const NUMBER_CURE = 'write a number like 21.5, or leave the cell empty'

/**
 * Parses a number without changing its value. An integer that a double cannot represent stays text,
 * as in the gateway; a number that is too large for a double is a fault.
 */
export function parseNumber(text: string): ParsedCell<number | string> {
  if (!decimal.test(text)) return { fault: `"${text}" is not a number`, cure: NUMBER_CURE }
  const value = Number(text)
  if (!Number.isFinite(value)) return { fault: `${text} is too large`, cure: NUMBER_CURE }
  const isExact = !integer.test(text) || BigInt(text) === BigInt(value)
  return { value: isExact ? value : text }
}

const calendar = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(:\d\d([.,]\d+)?)?) ?(Z|[+-]\d\d(:?\d\d)?)?$/
/**
 * The largest number that is read as seconds since 1970; a larger number is milliseconds. Seconds
 * stay below this limit until the year 5138, and milliseconds have been above it since 1973.
 */
const SECONDS_MAX = 1e11
const timeCure =
  'write it like 2026-03-01 08:30:00 (UTC unless it says +01:00), or as seconds or ms since 1970'

/** Parses a time to ms since 1970. A time without a zone is UTC: only differences matter here. */
export function parseTime(text: string): ParsedCell<number> {
  if (decimal.test(text)) {
    const sinceEpoch = Number(text)
    return { value: Math.abs(sinceEpoch) < SECONDS_MAX ? sinceEpoch * 1000 : sinceEpoch }
  }
  const [, date, time, , , zone = 'Z'] = calendar.exec(text) ?? []
  const zoned = zone.length === 3 ? `${zone}:00` : zone.replace(/^(...)(\d\d)$/, '$1:$2')
  const value = Date.parse(`${date}T${time?.replace(',', '.')}${zoned}`)
  if (Number.isNaN(value)) return { fault: `"${text}" is not a time`, cure: timeCure }
  return { value }
}
