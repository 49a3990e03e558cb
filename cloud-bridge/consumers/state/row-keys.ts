/** Below every character that stands for itself: a part's end sorts before whatever goes on. */
const SEPARATOR = '\u0001'
/** Before a character that would mean something else: itself, the separator and NUL. */
const ESCAPE = '\u0002'
const SHIFT = 48
const TIME_DIGITS = 9
const DIGITS = 36

/**
 * A key of parts that sorts part by part, whatever stands in them: a part's end is lower than any
 * of its characters.
 */
export function keyOf(...parts: readonly string[]): string {
  return parts.map(part => (isPlain(part) ? part : escaped(part))).join(SEPARATOR)
}

/** The parts of a key. */
export function partsOf(key: string): string[] {
  return key.split(SEPARATOR).map(part => {
    const [first, ...escaped] = part.split(ESCAPE)
    return [first, ...escaped.map(one => moved(one[0]!, -SHIFT) + one.slice(1))].join('')
  })
}

/** The keys that begin with these parts: from the first, included, to the last, not included. */
export function keysWithPrefix(...parts: readonly string[]): { from: string; to: string } {
  const start = keyOf(...parts)
  return { from: `${start}${SEPARATOR}`, to: `${start}${ESCAPE}` }
}

/** The lowest key that can stand behind this one. */
export const keyAfter = (key: string) => `${key}${SEPARATOR}`

/** A time in ms since 1970 as a part that sorts by time; up to the year 5188, none before 1970. */
export function timeKeyPart(ms: number): string {
  return Math.max(0, ms).toString(DIGITS).padStart(TIME_DIGITS, '0')
}

export const timeOfKeyPart = (part: string): number => Number.parseInt(part, DIGITS)

/** The time that is the last part of a key. */
export const lastTimeOfKey = (key: string): number => timeOfKeyPart(partsOf(key).at(-1)!)

function isPlain(part: string): boolean {
  for (let at = 0; at < part.length; at++) if (part[at]! <= ESCAPE) return false
  return true
}

function escaped(part: string): string {
  const one = (character: string) =>
    character <= ESCAPE ? ESCAPE + moved(character, SHIFT) : character
  return [...part].map(one).join('')
}

const moved = (character: string, by: number) => String.fromCharCode(character.charCodeAt(0) + by)
