import { crc32 } from 'node:zlib'

/**
 * A segment of the template for a route's site, zone or device: a text, or a level of the topic by
 * its name. With `parts`, the segment is not the level's text, but the number of the part to which
 * that text belongs.
 */
export type TemplateSegment = { text: string } | { name: string; parts: number | null }

/** The largest number of parts into which a level can be split. */
export const partsMax = 1000

/**
 * Parses the template of a route's site, zone or device: text with placeholders {name} and
 * {name%4}. Returns the segments and all faults of the syntax; the segments are usable only when
 * there is no fault.
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

/** Returns the text of a template. `textOf` returns the text that a topic has at a named level. */
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
 * Returns the number of the part to which a text belongs, from 0 on: the CRC-32 of its UTF-8 bytes
 * modulo `parts`. The rule must never change, because a change would move devices to other zones.
 * CRC-32 is easy to compute elsewhere, and it spreads numbered names more evenly than SHA-256: of
 * s0 to s39 each of 4 parts gets 10 names, and not 8 to 13.
 */
export function partOfText(text: string, parts: number): number {
  return crc32(text) % parts
}
