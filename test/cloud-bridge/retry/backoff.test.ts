import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffMs } from '../../../cloud-bridge/retry/backoff.ts'

const failures = fc.nat({ max: 10_000 })
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const backoff = fc
  .tuple(fc.integer({ min: 1, max: 600_000 }), fc.integer({ min: 0, max: 3_000_000 }))
  .map(([firstMs, extra]) => ({ firstMs, maxMs: firstMs + extra }))

describe('the wait before the next attempt', () => {
  it('is at least half of the first, and at most the longest', () => {
    fc.assert(
      fc.property(failures, backoff, random, (count, limits, chance) => {
        const waitMs = backoffMs(count, limits, () => chance)
        expect(waitMs).toBeGreaterThanOrEqual(limits.firstMs / 2)
        expect(waitMs).toBeLessThanOrEqual(limits.maxMs)
      }),
    )
  })

  it('never gets shorter with more failures, for the same random number', () => {
    fc.assert(
      fc.property(failures, backoff, random, (count, limits, chance) => {
        const [shorter, longer] = [count, count + 1].map(n => backoffMs(n, limits, () => chance))
        expect(longer).toBeGreaterThanOrEqual(shorter!)
      }),
    )
  })

  it('doubles, and loses a random half', () => {
    const limits = { firstMs: 100, maxMs: 1000 }
    const waits = (chance: number) =>
      [0, 1, 2, 3, 4, 99].map(count => backoffMs(count, limits, () => chance))
    expect(waits(0)).toEqual([50, 100, 200, 400, 500, 500])
    expect(waits(1)).toEqual([100, 200, 400, 800, 1000, 1000])
  })

  it('differs from one bridge to the next', () => {
    const limits = { firstMs: 1000, maxMs: 1000 }
    expect(new Set(Array.from({ length: 20 }, () => backoffMs(0, limits))).size).toBeGreaterThan(1)
  })
})
