/** Single-object encoding's marker (Avro 1.12, "Single-object encoding"). */
const MAGIC = Buffer.from([0xc3, 0x01])
const HEADER_BYTES = 10

/**
 * Frames bare Avro data for Kafka in single-object encoding: marker, fingerprint of the schema it
 * was written under, datum. One buffer serves a whole batch; the results are views of it.
 */
export function frame(events: readonly { schema: Buffer; datum: Buffer }[]): Buffer[] {
  let bytes = 0
  for (const { datum } of events) bytes += HEADER_BYTES + datum.length
  const whole = Buffer.allocUnsafeSlow(bytes)
  let at = 0
  return events.map(({ schema, datum }) => {
    const from = at
    MAGIC.copy(whole, at)
    schema.copy(whole, at + 2)
    datum.copy(whole, at + HEADER_BYTES)
    at += HEADER_BYTES + datum.length
    return whole.subarray(from, at)
  })
}
