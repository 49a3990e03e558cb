import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { packHandovers, unpackHandovers } from '../../../gateway/ingest/handover-codec.ts'
import type { Handover } from '../../../gateway/mqtt/broker.ts'

const text = fc.string({ unit: 'binary' }).map(value => value.toWellFormed())
const qos2Key = fc.record({ clientId: text, packetId: fc.integer({ min: 1, max: 65_535 }) })
const handover: fc.Arbitrary<Handover> = fc.oneof(
  fc.record({
    kind: fc.constant('message' as const),
    topic: text,
    payload: fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)),
    receivedAt: fc.integer({ min: 0, max: 8.64e15 }),
    qos2Key: fc.option(qos2Key),
  }),
  fc.record({ kind: fc.constant('release' as const), qos2Key }),
  fc.record({ kind: fc.constant('forget' as const), clientId: text }),
)

describe('packing', () => {
  it('is reversible for every handover', () => {
    fc.assert(
      fc.property(fc.array(handover, { maxLength: 30 }), all => {
        expect(unpackHandovers(packHandovers(all), all.length)).toEqual(all)
      }),
    )
  })

  it('is reversible in a thread that has only the bytes', () => {
    const all: Handover[] = [
      { kind: 'message', topic: 'ü/€/😀', payload: Buffer.alloc(0), receivedAt: 0, qos2Key: null },
      { kind: 'forget', clientId: '' },
      { kind: 'release', qos2Key: { clientId: '', packetId: 65_535 } },
      {
        ...{ kind: 'message', topic: '', payload: Buffer.alloc(70_000, 0xff) },
        ...{ receivedAt: 1.5e12, qos2Key: { clientId: '__proto__', packetId: 1 } },
      },
    ]
    const packed = packHandovers(all)
    expect(unpackHandovers(structuredClone(packed, { transfer: [packed] }), all.length)).toEqual(
      all,
    )
    expect(packed.byteLength).toBe(0)
  })

  it('writes invalid Unicode as UTF-8 encodes it', () => {
    const all: Handover[] = [{ kind: 'forget', clientId: 'a\ud800' }]
    expect(unpackHandovers(packHandovers(all), 1)).toEqual([
      { kind: 'forget', clientId: 'a\ufffd' },
    ])
  })

  it('of no handovers gives none back', () => {
    expect(unpackHandovers(packHandovers([]), 0)).toEqual([])
  })
})
