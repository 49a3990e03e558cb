import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createTally } from '../../../cloud-bridge/zones/heavy-hitters.ts'

const entry = fc.tuple(
  fc.integer({ min: 0, max: 40 }).map(key => `k${key}`),
  fc.integer({ min: 1, max: 1000 }),
)

it('is bounded, never too high, and too low by at most 1/(kept + 1) of the total', () => {
  const entries = fc.array(entry, { minLength: 0, maxLength: 500, size: 'max' })
  fc.assert(
    fc.property(entries, fc.integer({ min: 1, max: 25 }), (additions, kept) => {
      const [tally, exact] = [createTally(kept), new Map<string, number>()]
      for (const [key, weight] of additions) {
        tally.add(key, weight)
        exact.set(key, (exact.get(key) ?? 0) + weight)
        expect(tally.sums.size).toBeLessThanOrEqual(2 * kept)
      }
      const total = [...exact.values()].reduce((sum, weight) => sum + weight, 0)
      expect(tally.total).toBe(total)
      const isExact = exact.size <= 2 * kept
      for (const [key, sum] of exact) {
        const tallied = tally.sums.get(key) ?? 0
        expect(tallied).toBeLessThanOrEqual(sum)
        expect(tallied).toBeGreaterThanOrEqual(isExact ? sum : sum - total / (kept + 1))
      }
    }),
  )
})

it('evicts keys that were large before, and keeps keys that are large now', () => {
  const [kept, rounds] = [4, 100]
  const tally = createTally(kept)
  for (const key of ['a', 'b', 'c', 'd']) tally.add(key, 100)
  for (let round = 0; round < rounds; round++) {
    tally.add('large', 50)
    for (let i = 0; i <= kept; i++) tally.add(`${round} ${i}`, 1)
  }
  const least = rounds * 50 - tally.total / (kept + 1)
  expect(tally.sums.get('large')).toBeGreaterThanOrEqual(least)
})
