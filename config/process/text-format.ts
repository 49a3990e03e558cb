/** Characters that a terminal interprets: control and format characters, unusual line ends. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu
const HEX_PER_LINE = 16

/**
 * A device's text as one line that is safe on a terminal: `\u{1b}` in place of an escape character.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, character => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}

/** A time in ms since 1970 as ISO 8601 in UTC; beyond the range of a Date, as a number of ms. */
export function timeText(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`
}

/** A count with its noun: "1 event", "2 events". */
export const countText = (count: number, singular: string, plural = `${singular}s`) =>
  `${count} ${count === 1 ? singular : plural}`

/** A size for a person: `1.5 kB`, in decimal units. */
export function formatBytes(bytes: number, digits = 1): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  let [value, unit] = [bytes, 0]
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1]
  return `${unit === 0 ? value : value.toFixed(digits)} ${units[unit]}`
}

/** Two sizes for a person, with as many digits as make different sizes different texts. */
export function formatTwoSizes(first: number, second: number): [string, string] {
  for (const digits of [1, 2, 3, 6]) {
    const texts: [string, string] = [formatBytes(first, digits), formatBytes(second, digits)]
    if (texts[0] !== texts[1] || first === second) return texts
  }
  return [`${first} bytes`, `${second} bytes`]
}

/** Bytes as lines that are safe on a terminal: first as text, then as a hex dump. */
export function byteLines(bytes: Buffer): string[] {
  const text = bytes.length === 0 ? [] : bytes.toString().split('\n').map(printable)
  return ['as text', ...text.map(line => `  ${line}`), 'in hex', ...hexLines(bytes)]
}

function hexLines(bytes: Buffer): string[] {
  return Array.from({ length: Math.ceil(bytes.length / HEX_PER_LINE) }, (_, line) => {
    const start = line * HEX_PER_LINE
    const row = bytes.subarray(start, start + HEX_PER_LINE)
    const hex = [...row].map(byte => byte.toString(16).padStart(2, '0')).join(' ')
    const ascii = row.toString('latin1').replace(/[^\x20-\x7e]/g, '.')
    const offset = start.toString(16).padStart(8, '0')
    return `  ${offset}  ${hex.padEnd(3 * HEX_PER_LINE - 1)}  |${ascii}|`
  })
}
