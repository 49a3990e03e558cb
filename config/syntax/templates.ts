import { crc32 } from 'node:zlib'

/**
 * A segment of the template for a route's site, zone or device: a text, a level of the topic by its
 * name, or (with `parts`) the number of the part that the level's text falls into.
 */
export type TemplateSegment = { text: string } | { name: string; parts: number | null }

/** The largest number of parts. */
export const partsMax = 1000

/**
 * Parses the template of a route's site, zone or device: text with placeholders {name} and
 * {name%4}. Returns its segments and all faults of the syntax; with faults the segments are
 * useless.
 */
export function parseTemplate(template: string) {
  const faults: { reason: string; cure: string }[] = []
  // With a capture group, split returns texts and captures alternately.
  const segments = template.split(/\{([^{}]*)\}/).flatMap((part, index): TemplateSegment[] => {
    if (index % 2 === 0) {
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

/** The text of a template; `textOf` returns the topic's text at a level. */
export function fillTemplate(
  segments: readonly TemplateSegment[],
  textOf: (name: string) => string,
): string {
  let filled = ''
  for (const segment of segments) {
    if ('text' in segment) filled += segment.text
    else if (segment.parts === null) filled += textOf(segment.name)
    else filled += partOfText(textOf(segment.name), segment.parts)
  }
  return filled
}

/**
 * The number of the part that a text falls into, from 0 on: the CRC-32 of its UTF-8 bytes modulo
 * `parts`. The rule must never change, or devices would change their zone. CRC-32, because it is
 * easy to compute elsewhere, and because it spreads numbered names more evenly than SHA-256: of s0
 * to s39 each quarter gets 10, not 8 to 13.
 */
export function partOfText(text: string, parts: number): number {
  return crc32(text) % parts
}
