import { readdirSync, readFileSync } from 'node:fs'
import avro from 'avsc'

/** One released schema of an event. Events written under it stay readable for ever. */
export type ReleasedSchema = {
  version: number
  /**
   * The released file without white space, logical types included: the text that registries get.
   */
  text: string
  /** The Parsing Canonical Form, from which the fingerprint is computed (Avro 1.12). */
  canonical: string
  /**
   * CRC-64-AVRO of the canonical form, little endian, as single-object encoding contains the
   * fingerprint.
   */
  fingerprint: Buffer
  type: avro.Type
}

const folder = new URL('./', import.meta.url)
const FILE = /^SensorReading\.(\d+)\.avsc$/

/** All released schemas of an event, the oldest first. */
export const releasedSchemas: readonly ReleasedSchema[] = readdirSync(folder)
  .flatMap(name => FILE.exec(name)?.[1] ?? [])
  .map(version => load(Number(version)))
  .sort((a, b) => a.version - b.version)

/** The schema under which new events are written. */
export const newestSchema = releasedSchemas.at(-1)!

/** The released schema with this fingerprint, or null. */
export function schemaByFingerprint(fingerprint: Buffer): ReleasedSchema | null {
  return releasedSchemas.find(schema => schema.fingerprint.equals(fingerprint)) ?? null
}

function load(version: number): ReleasedSchema {
  const file = new URL(`./SensorReading.${version}.avsc`, folder)
  const schema = JSON.parse(readFileSync(file, 'utf8'))
  const type = avro.Type.forSchema(schema)
  const canonical = JSON.stringify(type.schema())
  const fingerprint = rabin(Buffer.from(canonical))
  return { version, text: JSON.stringify(schema), canonical, fingerprint, type }
}

/** CRC-64-AVRO (Avro 1.12, "Schema Fingerprints"), eight bytes, little endian. */
function rabin(bytes: Buffer): Buffer {
  const polynomial = 0xc15d213aa4d7a795n
  const table = Array.from({ length: 256 }, (_, index) => {
    let value = BigInt(index)
    for (let bit = 0; bit < 8; bit++) value = (value >> 1n) ^ (polynomial & -(value & 1n))
    return value
  })
  let hash = polynomial
  for (const byte of bytes) hash = (hash >> 8n) ^ table[Number((hash ^ BigInt(byte)) & 0xffn)]!
  const fingerprint = Buffer.alloc(8)
  fingerprint.writeBigUInt64LE(BigInt.asUintN(64, hash))
  return fingerprint
}
