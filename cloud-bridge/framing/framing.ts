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

/** An event as the outbox stores it: in single-object encoding. */
type OutboxEvent = { zone: string; value: Buffer }

const CONTENT_TYPE: Headers = { 'content-type': 'application/vnd.apache.avro' }
/** CloudEvents 1.0.2, its Kafka protocol binding, "Binary Content Mode". */
const CLOUD_EVENT: Headers = {
  ...CONTENT_TYPE,
  ce_specversion: '1.0',
  ce_type: 'sluice.SensorReading',
}

const NO_FINGERPRINT: Buffer = Buffer.alloc(0)

/**
 * Frames events: without a registry in single-object encoding, as the outbox stores them; with a
 * registry in its wire format, with the id of the schema under which the event was written. The
 * headers are the content type, the traceparent of the MQTT message and, if `cloudEvents` is set,
 * the headers of CloudEvents.
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
      ? await toWireFormat(events, fingerprint => schemaIdOf(topic, fingerprint))
      : events.map(({ value }) => value)
    let fingerprint = NO_FINGERPRINT
    let isTraced = false
    const headers = events.map(event => {
      // Consecutive events have the same schema, except at an upgrade: what the last fingerprint
      // says is reused.
      if (!hasFingerprint(event.value, fingerprint)) {
        fingerprint = fingerprintIn(event.value)
        isTraced = endsWithTraceparent(fingerprint)
      }
      const ownHeaders = headersOf(event)
      const traceparent = isTraced ? traceparentIn(event.value) : null
      return traceparent === null ? ownHeaders : { ...ownHeaders, traceparent }
    })
    return { values, headers }
  }
}

/** Sends events as the outbox stores them. */
export const singleObjectFraming: Framing = createFraming({ schemaIdOf: null, cloudEvents: false })

/**
 * The registry's wire format: 00, the schema id (big endian), the datum. The bytes are copied into
 * one new buffer, because the dead letter of a rejected event needs the bytes as the outbox stores
 * them.
 */
async function toWireFormat(
  events: readonly OutboxEvent[],
  schemaIdOf: (fingerprint: Buffer) => number | Promise<number>,
): Promise<Buffer[]> {
  const headerDifference = SINGLE_OBJECT_BYTES - WIRE_FORMAT_BYTES
  const bytes = events.reduce((sum, { value }) => sum + value.length - headerDifference, 0)
  const out = Buffer.allocUnsafeSlow(bytes)
  const values: Buffer[] = new Array(events.length)
  let fingerprint = NO_FINGERPRINT
  let [schemaId, offset] = [0, 0]
  for (const [index, event] of events.entries()) {
    if (!hasFingerprint(event.value, fingerprint)) {
      fingerprint = fingerprintIn(event.value)
      schemaId = await schemaIdOf(fingerprint)
    }
    const start = offset
    out[offset] = 0
    out.writeUInt32BE(schemaId, offset + 1)
    event.value.copy(out, offset + WIRE_FORMAT_BYTES, SINGLE_OBJECT_BYTES)
    offset += event.value.length - headerDifference
    values[index] = out.subarray(start, offset)
  }
  return values
}

function cloudEventHeaders({ zone, value }: OutboxEvent): Headers {
  return {
    ...CLOUD_EVENT,
    ce_id: idIn(value),
    ce_source: `/sluice/${gatewayIn(value)}`,
    ce_subject: zone,
  }
}
