import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Intervals } from '../../../cloud-bridge/consumers/intervals.ts'

describe('Intervals', () => {
  it('tells new from seen and names every hole, as a plain set does', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), numbers => {
        const intervals = new Intervals()
        const model = new Set<number>()
        for (const number of numbers) {
          expect(intervals.add(number)).toBe(!model.has(number))
          model.add(number)
        }
        const highest = Math.max(...model)
        const all = Array.from({ length: highest - Math.min(...model) }, (_, at) => highest - at)
        const missing = all.filter(number => !model.has(number)).sort((a, b) => a - b)
        const named = intervals.holes.flatMap(([from, to]) =>
          Array.from({ length: to - from + 1 }, (_, at) => from + at),
        )
        expect(named).toEqual(missing)
        expect(intervals.highest).toBe(highest)
      }),
    )
  })
})
