import { releasedSchemas } from '../schemas/released.ts'

/**
 * Bytes before a datum in single-object encoding (C3 01 and the schema's fingerprint) and in the
 * wire format (00 and the registry's schema id).
 */
export const SINGLE_OBJECT_BYTES = 10
export const WIRE_FORMAT_BYTES = 5

// These fields of an event in single-object encoding are at known offsets, so that they can be read
// without decoding the event.
const FINGERPRINT_AT = 2
const FINGERPRINT_BYTES = 8
const ID_AT = SINGLE_OBJECT_BYTES + 1
const ID_BYTES = 36
const GATEWAY_AT = ID_AT + ID_BYTES
const TRACEPARENT_BYTES = 55
/** How Avro encodes a traceparent that is set: the second branch of a union, then the length. */
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

/**
 * Whether events of the schema with this fingerprint end with the field traceparent, which is the
 * byte 0 when not set.
 */
export const endsWithTraceparent = (fingerprint: Buffer) =>
  !fingerprint.equals(firstSchema.fingerprint)

/**
 * The traceparent at the end of an event, or null when it is not set. Only for schemas whose events
 * end with this field.
 */
export function traceparentIn(event: Buffer): string | null {
  const { length } = event
  if (event[length - 1] === 0) return null
  const start = length - TRACEPARENT_BYTES - TRACEPARENT_PREFIX.length
  const isSet = TRACEPARENT_PREFIX.every((byte, index) => event[start + index] === byte)
  return isSet ? event.toString('latin1', length - TRACEPARENT_BYTES) : null
}

/** The id of an event, its first field. */
export const idIn = (event: Buffer) => event.toString('latin1', ID_AT, GATEWAY_AT)

/** The id of the gateway, the field after the event's id. */
export function gatewayIn(event: Buffer): string {
  const [length, at] = longAt(event, GATEWAY_AT)
  return event.toString('utf8', at, at + length)
}

/**
 * The epoch, sequence and zone sequence of an event. For bytes that are not an event the numbers
 * are arbitrary and may be NaN.
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
    // After the end of the event the byte is NaN, which ends the loop.
    const byte = event[next++] ?? Number.NaN
    value += (byte % 128) * factor
    if (!(byte >= 128)) return [value, next]
    factor *= 128
  }
}
