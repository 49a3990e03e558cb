import { releasedSchemas } from '../schemas/released.ts'

/** Bytes before a datum: C3 01 and a schema's fingerprint, or 00 and a registry's schema id. */
export const SINGLE_OBJECT_BYTES = 10
export const WIRE_FORMAT_BYTES = 5

// Fields of an event in single-object encoding at known offsets, so that reading them needs no
// decoding.
const FINGERPRINT_AT = 2
const FINGERPRINT_BYTES = 8
const ID_AT = SINGLE_OBJECT_BYTES + 1
const ID_BYTES = 36
const GATEWAY_AT = ID_AT + ID_BYTES
const TRACEPARENT_BYTES = 55
/** The second branch of a union, then the length: how Avro encodes a traceparent that is set. */
const TRACEPARENT_PREFIX = [2, 2 * TRACEPARENT_BYTES]
const firstSchema = releasedSchemas[0]!

/** A view of the fingerprint of the schema under which an event was written. */
export const fingerprintIn = (event: Buffer) => event.subarray(FINGERPRINT_AT, SINGLE_OBJECT_BYTES)

/** Whether an event has this fingerprint, without allocating a view. */
export function hasFingerprint(event: Buffer, fingerprint: Buffer): boolean {
  for (let index = 0; index < FINGERPRINT_BYTES; index++) {
    if (event[FINGERPRINT_AT + index] !== fingerprint[index]) return false
  }
  return true
}

/** Whether events of this schema end with the field traceparent, which is 0 when not set. */
export const endsWithTraceparent = (fingerprint: Buffer) =>
  !fingerprint.equals(firstSchema.fingerprint)

/** The traceparent at the end of an event, or null; only for schemas that end with this field. */
export function traceparentIn(event: Buffer): string | null {
  const { length } = event
  if (event[length - 1] === 0) return null
  const start = length - TRACEPARENT_BYTES - TRACEPARENT_PREFIX.length
  const isSet = TRACEPARENT_PREFIX.every((byte, index) => event[start + index] === byte)
  return isSet ? event.toString('latin1', length - TRACEPARENT_BYTES) : null
}

/** The id of an event, its first field. */
export const idIn = (event: Buffer) => event.toString('latin1', ID_AT, GATEWAY_AT)

/** The name of the gateway, the field after the id. */
export function gatewayIn(event: Buffer): string {
  const [length, at] = longAt(event, GATEWAY_AT)
  return event.toString('utf8', at, at + length)
}

/**
 * The numbers that identify an event, the fields after the gateway. For bytes that are not an event
 * the numbers are arbitrary, NaN included.
 */
export function numbersIn(event: Buffer) {
  const [length, epochAt] = longAt(event, GATEWAY_AT)
  const [epoch, sequenceAt] = longAt(event, epochAt + length)
  const [sequence, zoneSequenceAt] = longAt(event, sequenceAt)
  const [zoneSequence] = longAt(event, zoneSequenceAt)
  return { epoch, sequence, zoneSequence }
}

/** A non-negative number in Avro's encoding of a long, and the offset of the next field. */
function longAt(event: Buffer, at: number): [value: number, next: number] {
  let [value, factor, next] = [0, 0.5, at]
  for (;;) {
    // Beyond the end the byte is NaN, which ends the loop.
    const byte = event[next++] ?? Number.NaN
    value += (byte % 128) * factor
    if (!(byte >= 128)) return [value, next]
    factor *= 128
  }
}
