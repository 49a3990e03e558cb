import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lowerBound } from '../../../config/collections/lower-bound.ts'

describe('the lower bound', () => {
  it('is the index of the first entry that is not before, or the length', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.integer(), (numbers, limit) => {
        const sorted = numbers.toSorted((a, b) => a - b)
        const index = sorted.findIndex(number => number >= limit)
        expect(lowerBound(sorted, number => number < limit)).toBe(
          index === -1 ? sorted.length : index,
        )
      }),
    )
  })

  it('is 0 in an empty list', () => {
    expect(lowerBound([], () => true)).toBe(0)
  })
})
