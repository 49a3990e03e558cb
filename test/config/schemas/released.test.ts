import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import avro from 'avsc'
import { describe, expect, it } from 'vitest'
import {
  newestSchema,
  releasedSchemas,
  schemaByFingerprint,
} from '../../../config/schemas/released.ts'

/** The fingerprint of each released schema and the SHA-256 of its file. Never change an entry. */
const RELEASED = [
  ['2f6f7133d40c82fc', '2cb188c5845d4cad6c2e02c40f8913f74a9330189fe069091bff9e1ef533ca8e'],
  ['b3d137d716f830ba', '9433c28dcbc700d7c53959841512930731b62841d4f32e40bd7e9fd8dc0b4a25'],
]

const folder = new URL('../../../config/schemas/', import.meta.url)
const pairs = releasedSchemas.flatMap((older, index) =>
  releasedSchemas.slice(index + 1).map(newer => ({ older, newer })),
)

type Field = { name: string; type: unknown; default?: unknown }
const fieldsOf = ({ text }: { text: string }): Field[] => JSON.parse(text).fields

/** Every logical type in a schema, with the path of names to the type. */
function logicalTypes(node: unknown, path = ''): [path: string, logicalType: string][] {
  if (typeof node !== 'object' || node === null) return []
  const { name, logicalType } = node as { name?: string; logicalType?: string }
  const namePath = name === undefined ? path : `${path}/${name}`
  const own: [string, string][] = logicalType === undefined ? [] : [[namePath, logicalType]]
  return [...own, ...Object.values(node).flatMap(child => logicalTypes(child, namePath))]
}

describe('released schemas', () => {
  it('are numbered from 1 and never change', () => {
    const files = readdirSync(folder).filter(name => name.endsWith('.avsc'))
    expect(files).toHaveLength(releasedSchemas.length)
    expect(releasedSchemas.map(({ version }) => version)).toEqual(
      releasedSchemas.map((_, index) => index + 1),
    )
    const digests = releasedSchemas.map(({ version, fingerprint }) => {
      const text = readFileSync(new URL(`SensorReading.${version}.avsc`, folder))
      return [fingerprint.toString('hex'), createHash('sha256').update(text).digest('hex')]
    })
    expect(digests).toEqual(RELEASED)
    expect(releasedSchemas.map(({ fingerprint }) => schemaByFingerprint(fingerprint))).toEqual(
      releasedSchemas,
    )
    expect(schemaByFingerprint(Buffer.alloc(8))).toBe(null)
  })

  it.each(pairs)(
    '$older.version and $newer.version read each other (BACKWARD and FORWARD)',
    ({ older, newer }) => {
      expect(() => newer.type.createResolver(older.type)).not.toThrow()
      expect(() => older.type.createResolver(newer.type)).not.toThrow()
    },
  )

  it.each(pairs)(
    '$older.version and $newer.version have the same logical types in common fields',
    ({ older, newer }) => {
      // Schema resolution reads milliseconds as microseconds without an error.
      const newerTypes = new Map(logicalTypes(JSON.parse(newer.text)))
      for (const [path, logicalType] of logicalTypes(JSON.parse(older.text))) {
        expect([path, newerTypes.get(path)]).toEqual([path, logicalType])
      }
      const olderTypes = new Map(logicalTypes(JSON.parse(older.text)))
      const olderPaths = new Set(fieldsOf(older).map(({ name }) => `/SensorReading/${name}`))
      for (const [path] of newerTypes) {
        if (olderPaths.has(path)) expect(olderTypes.has(path), path).toBe(true)
      }
    },
  )

  it.each(pairs)(
    '$newer.version keeps all fields of $older.version, and its further fields have defaults',
    ({ older, newer }) => {
      const names = (schema: typeof older) => fieldsOf(schema).map(({ name }) => name)
      const added = fieldsOf(newer).filter(({ name }) => !names(older).includes(name))
      expect(names(newer).filter(name => names(older).includes(name))).toEqual(names(older))
      for (const field of added) expect(field).toHaveProperty('default')
    },
  )

  it.each(releasedSchemas)(
    '$version: an optional field has one type besides null, and null as default; no enums',
    ({ text }) => {
      const visit = (node: unknown): void => {
        if (typeof node !== 'object' || node === null) return
        const { type, default: fallback } = node as { type?: unknown; default?: unknown }
        expect(type).not.toBe('enum')
        if (Array.isArray(type)) {
          expect(type[0]).toBe('null')
          expect(type).toHaveLength(2)
          expect(fallback).toBe(null)
        }
        Object.values(node).forEach(visit)
      }
      visit(JSON.parse(text))
    },
  )

  it.each(releasedSchemas)(
    '$version begins with the identifying fields, where the bridge reads them',
    schema => {
      const names = fieldsOf(schema).map(({ name }) => name)
      expect(names.slice(0, 5)).toEqual(['id', 'gateway', 'epoch', 'sequence', 'zoneSequence'])
    },
  )

  it.each(releasedSchemas.slice(1))(
    '$version ends with traceparent, where the bridge reads it',
    schema => {
      expect(fieldsOf(schema).at(-1)).toMatchObject({
        name: 'traceparent',
        type: ['null', 'string'],
      })
    },
  )

  it('the checks detect a changed logical type and a new field without a default', () => {
    const changed = (change: (fields: Field[]) => void) => {
      const schema = JSON.parse(newestSchema.text)
      change(schema.fields)
      return schema
    }
    const micros = changed(fields => {
      const receivedAt = fields.find(({ name }) => name === 'receivedAt')!
      receivedAt.type = { type: 'long', logicalType: 'timestamp-micros' }
    })
    expect(() => newestSchema.type.createResolver(avro.Type.forSchema(micros))).not.toThrow()
    expect(logicalTypes(micros)).not.toEqual(logicalTypes(JSON.parse(newestSchema.text)))
    const withoutDefault = changed(fields => void fields.push({ name: 'floor', type: 'string' }))
    expect(() => avro.Type.forSchema(withoutDefault).createResolver(newestSchema.type)).toThrow()
  })
})
