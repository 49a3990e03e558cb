/** Lower than every unescaped character, so that a shorter part sorts before its extensions. */
const SEPARATOR = '\u0001'
/** Precedes an escaped character: the escape itself, the separator and NUL. */
const ESCAPE = '\u0002'
const SHIFT = 48
const TIME_DIGITS = 9
const DIGITS = 36

/**
 * Joins parts into a key. Keys sort part by part, whatever characters the parts contain.
 */
export function keyOf(...parts: readonly string[]): string {
  return parts.map(part => (isPlain(part) ? part : escaped(part))).join(SEPARATOR)
}

/** The parts of a key. */
export function partsOf(key: string): string[] {
  return key.split(SEPARATOR).map(part => {
    const [first, ...escaped] = part.split(ESCAPE)
    return [first, ...escaped.map(text => shifted(text[0]!, -SHIFT) + text.slice(1))].join('')
  })
}

/** The range of keys that begin with these parts: `from` included, `to` excluded. */
export function keysWithPrefix(...parts: readonly string[]): { from: string; to: string } {
  const start = keyOf(...parts)
  return { from: `${start}${SEPARATOR}`, to: `${start}${ESCAPE}` }
}

/** The lowest key that sorts after `key`. */
export const keyAfter = (key: string) => `${key}${SEPARATOR}`

/**
 * A time (ms since 1970) as a part that sorts by time, up to the year 5188. A time before 1970
 * becomes 0.
 */
export function timeKeyPart(ms: number): string {
  return Math.max(0, ms).toString(DIGITS).padStart(TIME_DIGITS, '0')
}

export const timeOfKeyPart = (part: string): number => Number.parseInt(part, DIGITS)

/** The time in the last part of a key. */
export const lastTimeOfKey = (key: string): number => timeOfKeyPart(partsOf(key).at(-1)!)

function isPlain(part: string): boolean {
  for (let at = 0; at < part.length; at++) if (part[at]! <= ESCAPE) return false
  return true
}

function escaped(part: string): string {
  const encode = (character: string) =>
    character <= ESCAPE ? ESCAPE + shifted(character, SHIFT) : character
  return [...part].map(encode).join('')
}

const shifted = (character: string, by: number) => String.fromCharCode(character.charCodeAt(0) + by)
