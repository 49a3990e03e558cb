/** A fault in a recording: where it is, and what to do about it. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError'
  readonly file: string
  readonly line: number
  readonly column: string | undefined

  constructor(file: string, line: number, column: string | undefined, what: string, cure: string) {
    const place = column === undefined ? `${file}:${line}` : `${file}:${line}, column "${column}"`
    super(`${place}: ${what}: ${cure}`)
    this.file = file
    this.line = line
    this.column = column
  }
}

/** What a cell holds, or why it holds nothing that can be used. */
export type ParsedCell<T> =
  | { readonly value: T }
  | { readonly fault: string; readonly cure: string }

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i
const integer = /^[+-]?\d+$/
const numberCure = 'write it like 21.5, leave the cell empty, or name the column as text'

/**
 * A number with the value that is written. An integer that a double cannot hold stays text, as
 * the gateway keeps it; a number beyond every double is a fault.
 */
export function parseNumber(text: string): ParsedCell<number | string> {
  if (!decimal.test(text)) return { fault: `"${text}" is not a number`, cure: numberCure }
  const value = Number(text)
  if (!Number.isFinite(value)) return { fault: `${text} is too large`, cure: numberCure }
  const isHeld = !integer.test(text) || BigInt(text) === BigInt(value)
  return { value: isHeld ? value : text }
}

const calendar = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(:\d\d([.,]\d+)?)?) ?(Z|[+-]\d\d(:?\d\d)?)?$/
/**
 * Seconds since 1970 stay below this until the year 5138; milliseconds were above it since 1973.
 */
const secondsMax = 1e11
const timeCure =
  'write it like 2026-03-01 08:30:00 (UTC unless it says +01:00), or as seconds or ms since 1970'

/** A time as ms since 1970. Without a zone it is taken as UTC: only differences matter here. */
export function parseTime(text: string): ParsedCell<number> {
  if (decimal.test(text)) {
    const since = Number(text)
    return { value: Math.abs(since) < secondsMax ? since * 1000 : since }
  }
  const [, date, time, , , zone = 'Z'] = calendar.exec(text) ?? []
  const zoned = zone.length === 3 ? `${zone}:00` : zone.replace(/^(...)(\d\d)$/, '$1:$2')
  const value = Date.parse(`${date}T${time?.replace(',', '.')}${zoned}`)
  if (Number.isNaN(value)) return { fault: `"${text}" is not a time`, cure: timeCure }
  return { value }
}
