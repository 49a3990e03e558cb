import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import avro from 'avsc'

/** How far a gateway's clock can be trusted at the moment of acceptance. */
export type Clock = 'SYNCED' | 'HOLDOVER' | 'UNSYNCED'
export const CLOCKS: readonly Clock[] = ['SYNCED', 'HOLDOVER', 'UNSYNCED']

/** One value of a reading: exactly one of number, flag and text is set; none for a null reading. */
export type Measurement = {
  metric: string
  number: number | null
  flag: boolean | null
  text: string | null
  unit: string | null
}

/**
 * The event contract with the cloud: config/schemas/SensorReading.avsc says what each field means.
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
  clock: Clock
  measurements: Measurement[]
  source: { topic: string; format: string }
}

/** What a device reported at one moment: an event before it is accepted and numbered. */
export type Reading = Omit<SensorReading, 'id' | 'gateway' | 'epoch' | 'sequence' | 'zoneSequence'>

const schemaFile = new URL('./schemas/SensorReading.avsc', import.meta.url)
const schema = JSON.parse(readFileSync(schemaFile, 'utf8'))
const type = avro.Type.forSchema(schema)

/** The schema's Parsing Canonical Form, on which its fingerprint is computed (Avro 1.12). */
export const canonicalSchema = JSON.stringify(type.schema())
/** CRC-64-AVRO of the canonical schema, little endian, as single-object encoding carries it. */
export const schemaFingerprint = rabin(Buffer.from(canonicalSchema))
/** What stands before every datum in single-object encoding: C3 01 and the fingerprint. */
export const singleObjectHeader = Buffer.concat([Buffer.from([0xc3, 0x01]), schemaFingerprint])

/**
 * Writes an event in single-object encoding into `target` at `offset`. Returns the offset behind
 * it, or a negative number when bytes are missing. Throws on an event that is not of the contract.
 */
export function encodeInto(event: SensorReading, target: Buffer, offset: number): number {
  singleObjectHeader.copy(target, offset)
  return type.encode(event, target, offset + singleObjectHeader.length)
}

/** The event in single-object encoding: what stands in Kafka when no registry is configured. */
export function encodeEvent(event: SensorReading): Buffer {
  return Buffer.concat([singleObjectHeader, type.toBuffer(event)])
}

/**
 * Reads an event back from single-object encoding. Throws an Error that says what is wrong: another
 * framing, another schema, bytes missing or left over, or a clock outside the contract.
 */
export function decodeEvent(value: Buffer): SensorReading {
  if (!value.subarray(0, 10).equals(singleObjectHeader)) {
    throw new Error(`not a SensorReading of schema ${schemaFingerprint.toString('hex')}`)
  }
  const { value: event, offset } = type.decode(value, 10)
  if (offset !== value.length) {
    throw new Error(offset < 0 ? 'the datum is cut short' : 'bytes are left over behind the datum')
  }
  if (!CLOCKS.includes(event.clock)) throw new Error(`clock is ${event.clock}`)
  return event
}

/**
 * A stream that takes events and gives an Avro object container file, its blocks deflated (Avro
 * 1.12, "Object Container Files"). The whole schema stands in it, with the meaning of times.
 */
export function openEventContainer(): Duplex {
  const options = { codec: 'deflate', writeHeader: 'always', syncMarker: randomBytes(16) } as const
  return new avro.streams.BlockEncoder(schema, options)
}

/** CRC-64-AVRO (Avro 1.12, "Schema Fingerprints"), eight bytes, little endian. */
function rabin(bytes: Buffer): Buffer {
  const empty = 0xc15d213aa4d7a795n
  const table = Array.from({ length: 256 }, (_, index) => {
    let value = BigInt(index)
    for (let bit = 0; bit < 8; bit++) value = (value >> 1n) ^ (empty & -(value & 1n))
    return value
  })
  let hash = empty
  for (const byte of bytes) hash = (hash >> 8n) ^ table[Number((hash ^ BigInt(byte)) & 0xffn)]!
  const fingerprint = Buffer.alloc(8)
  fingerprint.writeBigUInt64LE(BigInt.asUintN(64, hash))
  return fingerprint
}
