import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  canonicalSchema,
  decodeEvent,
  encodeEvent,
  encodeInto,
  schemaFingerprint,
  singleObjectHeader,
} from '../../config/events.ts'
import { event, goldenEvent } from './events-fixture.ts'

const goldenBytes = Buffer.from(
  `c3012f6f7133d40c82fc4831313232333334342d353536362d383737372d383030302d303030303030303030
   3030370867772d31f2fdeee09092380e06046871067a203104c3a902f6a1abfef96290a7abfef9620c53594e
   4345440806636f320200000000000879400000020670706d086f70656e00020100000c73657269616c000002
   2039303037313939323534373430393933000e6e6f7468696e6700000000003c6275696c64696e672f68712f
   7a6f6e652f7a20312f73656e736f722fc3a9086a736f6e`.replace(/\s/g, ''),
  'hex',
)

const field = (name: string, type: string) => `{"name":"${name}","type":${type}}`
const [text, long] = ['"string"', '"long"']
const record = (name: string, fields: string[]) =>
  `{"name":"${name}","type":"record","fields":[${fields.join()}]}`

const goldenSchema = record('sluice.SensorReading', [
  ...[field('id', text), field('gateway', text), field('epoch', long), field('sequence', long)],
  ...[field('zoneSequence', long), field('site', text), field('zone', text)],
  ...[field('device', text), field('observedAt', '["null","long"]'), field('receivedAt', long)],
  field('clock', text),
  field(
    'measurements',
    `{"type":"array","items":${record('sluice.Measurement', [
      ...[field('metric', text), field('number', '["null","double"]')],
      ...[field('flag', '["null","boolean"]'), field('text', '["null","string"]')],
      field('unit', '["null","string"]'),
    ])}}`,
  ),
  field('source', record('sluice.Source', [field('topic', text), field('format', text)])),
])

describe('the event contract', () => {
  it('is this schema, with this fingerprint', () => {
    expect(canonicalSchema).toBe(goldenSchema)
    expect(schemaFingerprint.toString('hex')).toBe('2f6f7133d40c82fc')
    expect(singleObjectHeader.toString('hex')).toBe('c3012f6f7133d40c82fc')
  })

  it('gives every optional field the default null, and has no other unions and no enums', () => {
    const file = new URL('../../config/schemas/SensorReading.avsc', import.meta.url)
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
    visit(JSON.parse(readFileSync(file, 'utf8')))
  })
})

describe('encoding', () => {
  it('writes these bytes, for ever', () => {
    expect(encodeEvent(goldenEvent).toString('hex')).toBe(goldenBytes.toString('hex'))
  })

  it('reads these bytes, for ever', () => {
    expect(decodeEvent(goldenBytes)).toEqual(goldenEvent)
  })

  it('gives every event back as it was', () => {
    fc.assert(
      fc.property(event, one => {
        expect(decodeEvent(encodeEvent(one))).toEqual(one)
      }),
    )
  })

  it('writes the same bytes into the middle of a buffer, or says that they do not fit', () => {
    fc.assert(
      fc.property(event, fc.nat(40), fc.nat(60), (one, offset, short) => {
        const bytes = encodeEvent(one)
        const target = Buffer.alloc(offset + bytes.length + 20 - short, 0xee)
        const end = encodeInto(one, target, offset)
        if (short > 20) {
          expect(end).toBeLessThan(0)
          return
        }
        expect(end).toBe(offset + bytes.length)
        expect(target.subarray(offset, end)).toEqual(bytes)
        expect(target.subarray(0, offset)).toEqual(Buffer.alloc(offset, 0xee))
      }),
    )
  })

  it.each([
    ['a text for a number', { receivedAt: '1700000000456' }],
    ['a fraction', { sequence: 1.5 }],
    ['a number beyond 2^53', { epoch: 2 ** 60 }],
    ['a missing field', { zone: undefined }],
    ['a measurement without a name', { measurements: [{ number: 1 }] }],
  ])('refuses %s', (_, change) => {
    const wrong = { ...goldenEvent, ...change } as unknown as typeof goldenEvent
    expect(() => encodeEvent(wrong)).toThrow()
    expect(() => encodeInto(wrong, Buffer.alloc(1000), 0)).toThrow()
  })
})

describe('decoding', () => {
  it('notices a cut at every place', () => {
    for (let length = 0; length < goldenBytes.length; length++) {
      expect(() => decodeEvent(goldenBytes.subarray(0, length))).toThrow(
        length < 10 ? 'not a SensorReading' : 'cut short',
      )
    }
  })

  it('notices bytes that are left over', () => {
    expect(() => decodeEvent(Buffer.concat([goldenBytes, Buffer.alloc(1)]))).toThrow('left over')
  })

  it('notices another framing and another schema', () => {
    for (let at = 0; at < 10; at++) {
      const other = Buffer.from(goldenBytes)
      other[at]! ^= 1
      expect(() => decodeEvent(other)).toThrow('not a SensorReading of schema 2f6f7133d40c82fc')
    }
  })

  it('notices a clock outside the contract', () => {
    const wrong = { ...goldenEvent, clock: 'RIGHT' as 'SYNCED' }
    expect(() => decodeEvent(encodeEvent(wrong))).toThrow('clock is RIGHT')
  })

  it('throws an Error, whatever is flipped, or gives an event', () => {
    for (let bit = 80; bit < goldenBytes.length * 8; bit++) {
      const other = Buffer.from(goldenBytes)
      other[bit >> 3]! ^= 1 << (bit & 7)
      try {
        expect(decodeEvent(other)).not.toEqual(goldenEvent)
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
      }
    }
  })
})
