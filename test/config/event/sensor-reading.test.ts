import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createDecoder,
  decodeEvent,
  encodeEvent,
  encodeInto,
} from '../../../config/event/sensor-reading.ts'
import { releasedSchemas } from '../../../config/schemas/released.ts'
import { event, goldenEvent, tracedEvent } from './events-fixture.ts'

/** The bytes that a version wrote whose newest schema was schema 1. */
const goldenBytes = Buffer.from(
  `c3012f6f7133d40c82fc4831313232333334342d353536362d383737372d383030302d303030303030303030
   3030370867772d31f2fdeee09092380e06046871067a203104c3a902f6a1abfef96290a7abfef9620c53594e
   4345440806636f320200000000000879400000020670706d086f70656e00020100000c73657269616c000002
   2039303037313939323534373430393933000e6e6f7468696e6700000000003c6275696c64696e672f68712f
   7a6f6e652f7a20312f73656e736f722fc3a9086a736f6e`.replace(/\s/g, ''),
  'hex',
)
const schema1 = releasedSchemas[0]!
const tracedBytes = Buffer.concat([
  Buffer.from('c301b3d137d716f830ba', 'hex'),
  goldenBytes.subarray(10),
  Buffer.from('\u0002\u006e00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
])

/** The wire format of registries: 00, a schema id of four bytes, the datum. */
const inWireFormat = (singleObject: Buffer, id = 7) =>
  Buffer.concat([Buffer.from([0, 0, 0, 0, id]), singleObject.subarray(10)])

describe('encoding', () => {
  it('writes exactly the golden bytes', () => {
    expect(encodeEvent(goldenEvent, schema1).toString('hex')).toBe(goldenBytes.toString('hex'))
    expect(encodeEvent(tracedEvent).toString('hex')).toBe(tracedBytes.toString('hex'))
  })

  it('reads the golden bytes', () => {
    for (const frame of [(bytes: Buffer) => bytes, inWireFormat]) {
      expect(decodeEvent(frame(goldenBytes))).toEqual(goldenEvent)
      expect(decodeEvent(frame(tracedBytes))).toEqual(tracedEvent)
    }
  })

  it('decodes every event to the original', () => {
    fc.assert(
      fc.property(event, reading => {
        expect(decodeEvent(encodeEvent(reading))).toEqual(reading)
        expect(decodeEvent(inWireFormat(encodeEvent(reading)))).toEqual(reading)
      }),
    )
  })

  it('decodes events of any released schema; fields that the schema lacks are null', () => {
    fc.assert(
      fc.property(event, fc.constantFrom(...releasedSchemas), (reading, schema) => {
        const bytes = encodeEvent(reading, schema)
        const traceparent = schema === schema1 ? null : reading.traceparent
        expect(decodeEvent(bytes)).toEqual({ ...reading, traceparent })
        expect(decodeEvent(inWireFormat(bytes))).toEqual({ ...reading, traceparent })
      }),
    )
  })

  it('writes bytes that no other released schema decodes, because the wire format has no fingerprint', () => {
    fc.assert(
      fc.property(event, fc.constantFrom(...releasedSchemas), (reading, schema) => {
        const value = inWireFormat(encodeEvent(reading, schema))
        const fits = releasedSchemas.filter(({ text }) => {
          try {
            return createDecoder(JSON.parse(text))(value) !== null
          } catch {
            return false
          }
        })
        expect(fits).toEqual([schema])
      }),
    )
  })

  it('reads an event of a newer version by the schema of the registry', () => {
    const newer = JSON.parse(releasedSchemas.at(-1)!.text)
    newer.fields.splice(-1, 0, { name: 'floor', type: ['null', 'string'], default: null })
    const floorOffset = goldenBytes.length
    const floor = Buffer.from('\u0002\u0004up')
    const value = inWireFormat(
      Buffer.concat([
        tracedBytes.subarray(0, floorOffset),
        floor,
        tracedBytes.subarray(floorOffset),
      ]),
    )
    expect(() => decodeEvent(value)).toThrow()
    expect(createDecoder(newer)(value)).toEqual(tracedEvent)
    expect(() => createDecoder({ type: 'record', name: 'Other', fields: [] })).toThrow()
  })

  it('writes the same bytes into the middle of a buffer, or returns a negative number when they do not fit', () => {
    fc.assert(
      fc.property(event, fc.nat(40), fc.nat(60), (reading, offset, missing) => {
        const bytes = encodeEvent(reading)
        const target = Buffer.alloc(offset + bytes.length + 20 - missing, 0xee)
        const end = encodeInto(reading, target, offset)
        if (missing > 20) {
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
  it('rejects an event that is truncated at any place', () => {
    for (let length = 0; length < goldenBytes.length; length++) {
      expect(() => decodeEvent(goldenBytes.subarray(0, length))).toThrow(
        length < 10 ? 'neither in' : 'truncated',
      )
      const framed = inWireFormat(goldenBytes).subarray(0, Math.max(0, length - 5))
      expect(() => decodeEvent(framed)).toThrow()
    }
  })

  it('rejects bytes after the event', () => {
    expect(() => decodeEvent(Buffer.concat([goldenBytes, Buffer.alloc(1)]))).toThrow('left over')
  })

  it('rejects another framing and another schema', () => {
    for (let index = 0; index < 10; index++) {
      const changed = Buffer.from(goldenBytes)
      changed[index]! ^= 1
      const reason = index < 2 ? 'neither in' : `not a SensorReading of a released schema: `
      expect(() => decodeEvent(changed)).toThrow(reason)
    }
  })

  it('rejects an unknown clock state', () => {
    const wrong = { ...goldenEvent, clock: 'RIGHT' as 'SYNCED' }
    expect(() => decodeEvent(encodeEvent(wrong))).toThrow('clock is RIGHT')
  })

  it('throws an Error or returns another event when any bit is flipped', () => {
    for (let bit = 80; bit < goldenBytes.length * 8; bit++) {
      const changed = Buffer.from(goldenBytes)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      try {
        expect(decodeEvent(changed)).not.toEqual(goldenEvent)
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
      }
    }
  })
})
