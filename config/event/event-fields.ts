import { releasedSchemas } from '../schemas/released.ts'

/** What stands before a datum: C3 01 and a schema's fingerprint, or 00 and a registry's number. */
export const SINGLE_OBJECT_BYTES = 10
export const WIRE_FORMAT_BYTES = 5

// What events of single-object encoding say at a known place, so that nobody decodes them for it.
const FINGERPRINT_AT = 2
const FINGERPRINT_BYTES = 8
const ID_AT = SINGLE_OBJECT_BYTES + 1
const ID_BYTES = 36
const GATEWAY_AT = ID_AT + ID_BYTES
const TRACEPARENT_BYTES = 55
/** The second branch of a union, then the length: how Avro begins a traceparent that is there. */
const TRACEPARENT_BEGINS = [2, 2 * TRACEPARENT_BYTES]
const first = releasedSchemas[0]!

/** The fingerprint of the schema under which an event was written, a view. */
export const fingerprintIn = (event: Buffer) => event.subarray(FINGERPRINT_AT, SINGLE_OBJECT_BYTES)

/** Whether it has this fingerprint, without making a view of it. */
export function hasFingerprint(event: Buffer, fingerprint: Buffer): boolean {
  for (let index = 0; index < FINGERPRINT_BYTES; index++) {
    if (event[FINGERPRINT_AT + index] !== fingerprint[index]) return false
  }
  return true
}

/** Whether events of the schema with this fingerprint end with a traceparent, or 0 for none. */
export const endsWithTraceparent = (fingerprint: Buffer) => !fingerprint.equals(first.fingerprint)

/** The traceparent at the end of an event, or null. The schema must be one that ends with it. */
export function traceparentIn(event: Buffer): string | null {
  const { length } = event
  if (event[length - 1] === 0) return null
  const begins = length - TRACEPARENT_BYTES - TRACEPARENT_BEGINS.length
  const isThere = TRACEPARENT_BEGINS.every((byte, index) => event[begins + index] === byte)
  return isThere ? event.toString('latin1', length - TRACEPARENT_BYTES) : null
}

/** The id of an event, its first field. */
export const idIn = (event: Buffer) => event.toString('latin1', ID_AT, GATEWAY_AT)

/** The name of the gateway, the field behind the id. */
export function gatewayIn(event: Buffer): string {
  const [length, at] = longAt(event, GATEWAY_AT)
  return event.toString('utf8', at, at + length)
}

/**
 * The numbers that tell an event apart, the fields behind the gateway. Of bytes that are no event
 * they are anything, NaN included.
 */
export function numbersIn(event: Buffer) {
  const [length, epochAt] = longAt(event, GATEWAY_AT)
  const [epoch, sequenceAt] = longAt(event, epochAt + length)
  const [sequence, zoneSequenceAt] = longAt(event, sequenceAt)
  const [zoneSequence] = longAt(event, zoneSequenceAt)
  return { epoch, sequence, zoneSequence }
}

/** A number that is not negative, as Avro writes a long, and where the next field begins. */
function longAt(event: Buffer, at: number): [value: number, next: number] {
  let [value, factor, next] = [0, 0.5, at]
  for (;;) {
    // Beyond the end it is no number, and ends.
    const byte = event[next++] ?? Number.NaN
    value += (byte % 128) * factor
    if (!(byte >= 128)) return [value, next]
    factor *= 128
  }
}
