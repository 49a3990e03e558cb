import { crc32 } from 'node:zlib'

/**
 * A piece of what a route says of its site, zone or device: a text, a level of the topic by its
 * name, or (with `parts`) which of so many parts that level falls into.
 */
export type TemplateSegment = { text: string } | { name: string; parts: number | null }

/** Into how many parts a level can be split. */
export const partsMax = 1000

/**
 * Reads a site, zone or device of a route: text in which {name} and {name%4} may stand. Gives its
 * pieces, and every fault of the syntax; with faults the pieces are useless.
 */
export function parseTemplate(template: string) {
  const faults: { reason: string; cure: string }[] = []
  // With a capture group, split gives texts and what was captured in turns.
  const segments = template.split(/\{([^{}]*)\}/).flatMap((part, at): TemplateSegment[] => {
    if (at % 2 === 0) {
      if (/[{}]/.test(part)) {
        faults.push({ reason: 'has a stray brace', cure: 'Write {name} for a level of the topic' })
      }
      return part === '' ? [] : [{ text: part }]
    }
    const [, name, split] = /^([^%]*)(?:%(.*))?$/.exec(part)!
    if (split === undefined) return [{ name: name!, parts: null }]
    const parts = /^\d{1,9}$/.test(split) ? Number(split) : 0
    if (parts < 2 || parts > partsMax) {
      const cure = `Write a whole number of parts between 2 and ${partsMax}, as in {${name}%4}`
      faults.push({ reason: `splits {${name}} into ${JSON.stringify(split)} parts`, cure })
    }
    return [{ name: name!, parts }]
  })
  return { segments, faults }
}

/** The text that a template stands for, where `textOf` gives what the topic has at a level. */
export function fillTemplate(
  pieces: readonly TemplateSegment[],
  textOf: (name: string) => string,
): string {
  let filled = ''
  for (const piece of pieces) {
    if ('text' in piece) filled += piece.text
    else if (piece.parts === null) filled += textOf(piece.name)
    else filled += partOfText(textOf(piece.name), piece.parts)
  }
  return filled
}

/**
 * Which of `parts` a text falls into, from 0 on: the CRC-32 of its UTF-8 modulo `parts`. It must
 * never change, or devices would change their zone. CRC-32, because anybody can compute it, and
 * because it spreads names that are numbered more evenly than SHA-256 does: of s0 to s39 each
 * quarter gets 10, not 8 to 13.
 */
export function partOfText(text: string, parts: number): number {
  return crc32(text) % parts
}
