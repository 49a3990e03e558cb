import {
  endsWithTraceparent,
  fingerprintIn,
  gatewayIn,
  hasFingerprint,
  idIn,
  SINGLE_OBJECT_BYTES,
  traceparentIn,
  WIRE_FORMAT_BYTES,
} from '../../config/event/event-fields.ts'
import type { Framing, Headers } from '../ports/event-sink.ts'
import type { SchemaIdLookup } from '../registry/schema-ids.ts'

/** An event as it lies in the outbox: in single-object encoding. */
type Stored = { zone: string; value: Buffer }

const CONTENT_TYPE: Headers = { 'content-type': 'application/vnd.apache.avro' }
/** CloudEvents 1.0.2, its Kafka protocol binding, "Binary Content Mode". */
const CLOUD_EVENT: Headers = {
  ...CONTENT_TYPE,
  ce_specversion: '1.0',
  ce_type: 'sluice.SensorReading',
}

const NO_FINGERPRINT: Buffer = Buffer.alloc(0)

/**
 * How events go out: as they lie in the outbox, in single-object encoding, or, with a registry,
 * each with the number of the schema under which it was written. Beside it stand the content type,
 * the trace that a message was part of and, if asked for, the headers of CloudEvents.
 */
export function createFraming({
  schemaIdOf,
  cloudEvents,
}: {
  schemaIdOf: SchemaIdLookup | null
  cloudEvents: boolean
}): Framing {
  const headersOf = cloudEvents ? cloudEventHeaders : () => CONTENT_TYPE
  return async (topic, events) => {
    const values = schemaIdOf
      ? await inWireFormat(events, fingerprint => schemaIdOf(topic, fingerprint))
      : events.map(({ value }) => value)
    let fingerprint = NO_FINGERPRINT
    let isTraced = false
    const headers = events.map(event => {
      // Neighbours were written under one schema, but for the moment of an upgrade.
      if (!hasFingerprint(event.value, fingerprint)) {
        fingerprint = fingerprintIn(event.value)
        isTraced = endsWithTraceparent(fingerprint)
      }
      const own = headersOf(event)
      const traceparent = isTraced ? traceparentIn(event.value) : null
      return traceparent === null ? own : { ...own, traceparent }
    })
    return { values, headers }
  }
}

/** Events go out as they lie in the outbox. */
export const singleObjectFraming: Framing = createFraming({ schemaIdOf: null, cloudEvents: false })

/**
 * 00, the number (big endian), the datum. In one new buffer, because an event that Kafka refuses is
 * buried as it was stored.
 */
async function inWireFormat(
  events: readonly Stored[],
  idOf: (fingerprint: Buffer) => number | Promise<number>,
): Promise<Buffer[]> {
  const less = SINGLE_OBJECT_BYTES - WIRE_FORMAT_BYTES
  const bytes = events.reduce((sum, { value }) => sum + value.length - less, 0)
  const out = Buffer.allocUnsafeSlow(bytes)
  const values: Buffer[] = new Array(events.length)
  let fingerprint = NO_FINGERPRINT
  let [id, at] = [0, 0]
  for (const [index, event] of events.entries()) {
    if (!hasFingerprint(event.value, fingerprint)) {
      fingerprint = fingerprintIn(event.value)
      id = await idOf(fingerprint)
    }
    const from = at
    out[at] = 0
    out.writeUInt32BE(id, at + 1)
    event.value.copy(out, at + WIRE_FORMAT_BYTES, SINGLE_OBJECT_BYTES)
    at += event.value.length - less
    values[index] = out.subarray(from, at)
  }
  return values
}

function cloudEventHeaders({ zone, value }: Stored): Headers {
  return {
    ...CLOUD_EVENT,
    ce_id: idIn(value),
    ce_source: `/sluice/${gatewayIn(value)}`,
    ce_subject: zone,
  }
}
