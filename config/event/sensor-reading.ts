import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import avro from 'avsc'
import {
  newestSchema,
  type ReleasedSchema,
  releasedSchemas,
  schemaByFingerprint,
} from '../schemas/released.ts'
import { fingerprintIn, SINGLE_OBJECT_BYTES, WIRE_FORMAT_BYTES } from './event-fields.ts'

/** Whether the gateway's clock could be trusted when the gateway accepted the message. */
export type ClockState = 'SYNCED' | 'HOLDOVER' | 'UNSYNCED'
export const CLOCK_STATES: readonly ClockState[] = ['SYNCED', 'HOLDOVER', 'UNSYNCED']

/** One value of a reading: exactly one of number, flag and text is set; none for a null value. */
export type Measurement = {
  metric: string
  number: number | null
  flag: boolean | null
  text: string | null
  unit: string | null
}

/**
 * The contract for events between gateway and cloud. The newest file of config/schemas explains
 * each field.
 */
export type SensorReading = {
  id: string
  gateway: string
  epoch: number
  sequence: number
  zoneSequence: number
  site: string
  zone: string
  device: string
  observedAt: number | null
  receivedAt: number
  clock: ClockState
  measurements: Measurement[]
  source: { topic: string; format: string }
  traceparent: string | null
}

/** What a device reported at one time: an event before it is accepted and numbered. */
export type Reading = Omit<SensorReading, 'id' | 'gateway' | 'epoch' | 'sequence' | 'zoneSequence'>

/** CRC-64-AVRO of the schema under which new events are written. */
export const schemaFingerprint = newestSchema.fingerprint

const headers = new Map(releasedSchemas.map(schema => [schema, singleObjectHeader(schema)]))
const newestHeader = headers.get(newestSchema)!
const resolvers = new Map(
  releasedSchemas.map(schema => [
    schema,
    schema === newestSchema ? undefined : resolverOf(schema.type),
  ]),
)
const newestFirst = releasedSchemas.toReversed()

/**
 * Writes an event in single-object encoding into `target` at `offset`. Returns the offset after the
 * event, or a negative number when `target` is too short. Throws when the event violates the
 * contract.
 */
export function encodeInto(event: SensorReading, target: Buffer, offset: number): number {
  newestHeader.copy(target, offset)
  return newestSchema.type.encode(event, target, offset + SINGLE_OBJECT_BYTES)
}

/**
 * Returns the event in single-object encoding, as Kafka stores the event without a registry. With
 * an older schema, returns the bytes that an older program wrote.
 */
export function encodeEvent(event: SensorReading, schema: ReleasedSchema = newestSchema): Buffer {
  return Buffer.concat([headers.get(schema)!, schema.type.toBuffer(event)])
}

/**
 * Decodes an event that was written under any released schema, in single-object encoding or in the
 * wire format of registries. Fields that the event's schema lacks are null. The wire format
 * contains only a registry's schema id, but no registry is needed: a datum fits exactly one
 * released schema to its last byte. Throws an Error with the reason: another framing, another
 * schema, missing or surplus bytes, or a clock state outside the contract.
 */
export function decodeEvent(value: Buffer): SensorReading {
  if (value.length >= SINGLE_OBJECT_BYTES && value.readUInt16BE() === 0xc301) {
    const fingerprint = fingerprintIn(value)
    const schema = fingerprint.equals(schemaFingerprint)
      ? newestSchema
      : schemaByFingerprint(fingerprint)
    if (schema) return decodeDatum(value, SINGLE_OBJECT_BYTES, resolvers.get(schema))
    throw new Error(`not a SensorReading of a released schema: ${fingerprint.toString('hex')}`)
  }
  if (value.length < WIRE_FORMAT_BYTES || value[0] !== 0) {
    throw new Error('the value is neither in single-object encoding nor in the wire format')
  }
  let fault: unknown
  for (const schema of newestFirst) {
    try {
      return decodeDatum(value, WIRE_FORMAT_BYTES, resolvers.get(schema))
    } catch (error) {
      fault ??= error
    }
  }
  throw fault
}

/**
 * Returns the decoder for events in the wire format of registries under a schema that this program
 * does not have: the schema of a newer program, which the registry has. Throws when the schema is
 * incompatible with the newest released schema.
 */
export function createDecoder(schema: object): (value: Buffer) => SensorReading {
  const resolver = resolverOf(avro.Type.forSchema(schema as avro.Schema))
  return value => decodeDatum(value, WIRE_FORMAT_BYTES, resolver)
}

function decodeDatum(value: Buffer, start: number, resolver: unknown): SensorReading {
  const { value: event, offset } = newestSchema.type.decode(value, start, resolver as never)
  if (offset !== value.length) {
    throw new Error(offset < 0 ? 'the datum is truncated' : 'bytes are left over after the datum')
  }
  if (!CLOCK_STATES.includes(event.clock)) {
    throw new Error(`clock is ${event.clock}, expected ${CLOCK_STATES.join(', ')}`)
  }
  return event
}

function resolverOf(writer: avro.Type): unknown {
  return newestSchema.type.createResolver(writer)
}

function singleObjectHeader({ fingerprint }: ReleasedSchema): Buffer {
  return Buffer.concat([Buffer.from([0xc3, 0x01]), fingerprint])
}

/**
 * Creates a stream that turns events into an Avro object container file with deflated blocks (Avro
 * 1.12, "Object Container Files"). The file contains the complete schema, with the logical types of
 * its times.
 */
export function createEventContainer(): Duplex {
  const options = { codec: 'deflate', writeHeader: 'always', syncMarker: randomBytes(16) } as const
  return new avro.streams.BlockEncoder(JSON.parse(newestSchema.text), options)
}
