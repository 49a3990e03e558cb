import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import avro from 'avsc'
import { describe, expect, it } from 'vitest'
import {
  newestSchema,
  releasedSchemas,
  schemaByFingerprint,
} from '../../../config/schemas/released.ts'

/** What was released, for ever: its fingerprint, and SHA-256 of its file. */
const RELEASED = [
  ['2f6f7133d40c82fc', '2cb188c5845d4cad6c2e02c40f8913f74a9330189fe069091bff9e1ef533ca8e'],
  ['b3d137d716f830ba', '9433c28dcbc700d7c53959841512930731b62841d4f32e40bd7e9fd8dc0b4a25'],
]

const folder = new URL('../../../config/schemas/', import.meta.url)
const pairs = releasedSchemas.flatMap((older, at) =>
  releasedSchemas.slice(at + 1).map(newer => ({ older, newer })),
)

type Field = { name: string; type: unknown; default?: unknown }
const fieldsOf = ({ text }: { text: string }): Field[] => JSON.parse(text).fields

/** Every place of a schema with a logical type, by the names that lead there. */
function logicalTypes(node: unknown, path = ''): [path: string, logicalType: string][] {
  if (typeof node !== 'object' || node === null) return []
  const { name, logicalType } = node as { name?: string; logicalType?: string }
  const here = name === undefined ? path : `${path}/${name}`
  const own: [string, string][] = logicalType === undefined ? [] : [[here, logicalType]]
  return [...own, ...Object.values(node).flatMap(inner => logicalTypes(inner, here))]
}

describe('released schemas', () => {
  it('are numbered from 1 on, and never change', () => {
    const files = readdirSync(folder).filter(name => name.endsWith('.avsc'))
    expect(files).toHaveLength(releasedSchemas.length)
    expect(releasedSchemas.map(({ version }) => version)).toEqual(
      releasedSchemas.map((_, index) => index + 1),
    )
    const found = releasedSchemas.map(({ version, fingerprint }) => {
      const text = readFileSync(new URL(`SensorReading.${version}.avsc`, folder))
      return [fingerprint.toString('hex'), createHash('sha256').update(text).digest('hex')]
    })
    expect(found).toEqual(RELEASED)
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
    '$older.version and $newer.version mean the same by what both have',
    ({ older, newer }) => {
      // Resolution takes milliseconds for microseconds without a word.
      const meant = new Map(logicalTypes(JSON.parse(newer.text)))
      for (const [path, logicalType] of logicalTypes(JSON.parse(older.text))) {
        expect([path, meant.get(path)]).toEqual([path, logicalType])
      }
      const before = new Map(logicalTypes(JSON.parse(older.text)))
      const known = new Set(fieldsOf(older).map(({ name }) => `/SensorReading/${name}`))
      for (const [path] of meant) if (known.has(path)) expect(before.has(path), path).toBe(true)
    },
  )

  it.each(pairs)(
    '$older.version lost nothing to $newer.version, whose additions have defaults',
    ({ older, newer }) => {
      const names = (schema: typeof older) => fieldsOf(schema).map(({ name }) => name)
      const added = fieldsOf(newer).filter(({ name }) => !names(older).includes(name))
      expect(names(newer).filter(name => names(older).includes(name))).toEqual(names(older))
      for (const one of added) expect(one).toHaveProperty('default')
    },
  )

  it.each(releasedSchemas)(
    '$version: an optional field is null or one type, and null by default; no enums',
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
    '$version begins with what tells an event apart, where the bridge looks for it',
    one => {
      const found = fieldsOf(one).map(({ name }) => name)
      expect(found.slice(0, 5)).toEqual(['id', 'gateway', 'epoch', 'sequence', 'zoneSequence'])
    },
  )

  it.each(releasedSchemas.slice(1))(
    '$version ends with traceparent, where the bridge looks for it',
    one => {
      expect(fieldsOf(one).at(-1)).toMatchObject({ name: 'traceparent', type: ['null', 'string'] })
    },
  )

  it('a change of a logical type, and one without a default, would be noticed', () => {
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
    const demanding = changed(fields => void fields.push({ name: 'floor', type: 'string' }))
    expect(() => avro.Type.forSchema(demanding).createResolver(newestSchema.type)).toThrow()
  })
})
