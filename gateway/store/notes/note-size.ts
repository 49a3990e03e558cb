import type { EpochEnd } from './note-kinds.ts'

/**
 * Notes that grow with the number of zones are split into notes of at most this many bytes of JSON.
 * Kafka refuses records above 1 MiB by default, and one batch holds several notes.
 */
export const NOTE_MAX_BYTES = 256 * 1024
/** The bytes that a note needs for everything except its list of zones. */
const HEAD_BYTES = 1024

/** The bytes of a value as JSON, with a comma after the value. */
export const jsonBytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value)) + 1

/**
 * Splits the end of an epoch into ends of at most `NOTE_MAX_BYTES` of JSON each: the same last
 * sequence, and a part of the zones each. Each end is a valid claim by itself, because the ledger
 * adds up the zones of all claims. Returns at least one end. An entry that is larger than the limit
 * has an end of its own.
 */
export function splitEpochEnd({ zones, ...end }: EpochEnd): [EpochEnd, ...EpochEnd[]] {
  const first: EpochEnd['zones'] = []
  const parts: [EpochEnd, ...EpochEnd[]] = [{ ...end, zones: first }]
  let part = first
  let bytes = HEAD_BYTES
  for (const zone of zones) {
    const zoneBytes = jsonBytes(zone)
    if (part.length > 0 && bytes + zoneBytes > NOTE_MAX_BYTES) {
      part = []
      parts.push({ ...end, zones: part })
      bytes = HEAD_BYTES
    }
    part.push(zone)
    bytes += zoneBytes
  }
  return parts
}

/**
 * Returns a note's content without the list `zones` when that list alone is larger than
 * `NOTE_MAX_BYTES`; `zonesLeftOut` is then the number of entries. The ledger finds the zones of the
 * named sequences by their order instead. A single group can have so many zones with long names
 * only when a client means harm.
 */
export function limitZones<Content extends object>(content: Content): Content {
  const { zones } = content as { zones?: unknown }
  if (!Array.isArray(zones) || zones.length === 0) return content
  let bytes = 0
  for (const zone of zones) {
    bytes += jsonBytes(zone)
    if (bytes > NOTE_MAX_BYTES) return { ...content, zones: [], zonesLeftOut: zones.length }
  }
  return content
}
