import { expect, it } from 'vitest'
import { medianInterval } from './median-interval.ts'

it('takes the order statistics whose coverage is at least the confidence', () => {
  const values = [8, 1, 2, 3, 4, 5, 6, 7]
  // n = 8: 1 − 2·(1 + 8)/256 = 0.93 for the second smallest to the second largest value.
  expect(medianInterval(values, 0.9)).toEqual({
    ...{ median: 4.5, low: 2, high: 7, coverage: 1 - 18 / 256 },
  })
  // n = 7: 0.875 for the second value, so only the extremes cover 90 %.
  expect(medianInterval(values.slice(0, 7), 0.9)).toMatchObject({ low: 1, high: 8 })
  expect(medianInterval([3], 0.9)).toEqual({ median: 3, low: 3, high: 3, coverage: 0 })
})
