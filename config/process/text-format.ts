/** What a terminal would obey instead of showing: control and format characters, odd line ends. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu
const HEX_PER_LINE = 16

/** A text of a device as one line that is safe on a terminal: `\u{1b}` for an escape. */
export function printable(text: string): string {
  return text.replace(UNSEEN, unseen => `\\u{${unseen.codePointAt(0)!.toString(16)}}`)
}

/** A moment in ms since 1970 as ISO 8601 in UTC, or the number where a calendar ends. */
export function timeText(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`
}

/** A number of things, in words. */
export const countText = (count: number, one: string, many = `${one}s`) =>
  `${count} ${count === 1 ? one : many}`

/** Bytes as lines that are safe on a terminal: as text, and in hex. */
export function byteLines(bytes: Buffer): string[] {
  const text = bytes.length === 0 ? [] : bytes.toString().split('\n').map(printable)
  return ['as text', ...text.map(line => `  ${line}`), 'in hex', ...hexLines(bytes)]
}

function hexLines(bytes: Buffer): string[] {
  return Array.from({ length: Math.ceil(bytes.length / HEX_PER_LINE) }, (_, line) => {
    const at = line * HEX_PER_LINE
    const part = bytes.subarray(at, at + HEX_PER_LINE)
    const hex = [...part].map(byte => byte.toString(16).padStart(2, '0')).join(' ')
    const ascii = part.toString('latin1').replace(/[^\x20-\x7e]/g, '.')
    const offset = at.toString(16).padStart(8, '0')
    return `  ${offset}  ${hex.padEnd(3 * HEX_PER_LINE - 1)}  |${ascii}|`
  })
}
