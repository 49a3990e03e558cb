import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createEventIds } from '../../../config/event/event-id.ts'

const gateway = fc.string({ unit: 'binary', maxLength: 12 })
const epoch = fc.integer({ min: 1, max: 2 ** 48 - 1 })
const sequence = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })

describe('event ids', () => {
  it('never change for a gateway, epoch and sequence', () => {
    const id = createEventIds('gw-1', 123_456_789_012_345)
    expect(id(1)).toBe('ecb6c34a-1b87-89e0-8000-000000000001')
    expect(id(2 ** 48 - 1)).toBe('ecb6c34a-1b87-89e0-8000-ffffffffffff')
    expect(id(2 ** 48)).toBe('ecb6c34a-1b87-89e0-8001-000000000000')
    expect(id(Number.MAX_SAFE_INTEGER)).toBe('ecb6c34a-1b87-89e0-801f-ffffffffffff')
  })

  it('are UUIDs of version 8 that contain the sequence', () => {
    fc.assert(
      fc.property(gateway, epoch, sequence, (name, run, number) => {
        const id = createEventIds(name, run)(number)
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        const low = BigInt(`0x${id.slice(19).replace('-', '')}`) & (2n ** 62n - 1n)
        expect(low).toBe(BigInt(number))
      }),
    )
  })

  it('are the same each time', () => {
    fc.assert(
      fc.property(gateway, epoch, sequence, (name, run, number) => {
        expect(createEventIds(name, run)(number)).toBe(createEventIds(name, run)(number))
      }),
    )
  })

  it('rise with the sequence and share their first half', () => {
    fc.assert(
      fc.property(gateway, epoch, sequence, sequence, (name, run, a, b) => {
        const id = createEventIds(name, run)
        expect(id(a).slice(0, 19)).toBe(id(b).slice(0, 19))
        expect(Math.sign(id(a).localeCompare(id(b)))).toBe(Math.sign(a - b))
      }),
    )
  })

  it('differ between gateways and between epochs', () => {
    const run = fc.tuple(gateway, epoch)
    fc.assert(
      fc.property(run, run, sequence, sequence, (runA, runB, a, b) => {
        fc.pre(runA[0] !== runB[0] || runA[1] !== runB[1])
        expect(createEventIds(...runA)(a)).not.toBe(createEventIds(...runB)(b))
      }),
    )
  })

  it('differ when gateway and epoch have the same concatenation', () => {
    expect(createEventIds('gw1', 23)(1)).not.toBe(createEventIds('gw', 123)(1))
    expect(createEventIds('gw', 1)(23)).not.toBe(createEventIds('gw', 12)(3))
  })
})
