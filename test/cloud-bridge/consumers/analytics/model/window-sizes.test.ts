import { expect, it } from 'vitest'
import {
  BASE_SIZE,
  longWindowSizes,
  sourceSizeOf,
  windowLengthMs,
  windowSizes,
} from '../../../../../cloud-bridge/consumers/analytics/model/window-sizes.ts'

it('each window size is a multiple of the size that it is built from, and listed after it', () => {
  expect(windowSizes[0]).toBe(BASE_SIZE)
  for (const size of longWindowSizes) {
    const source = sourceSizeOf(size)
    expect(windowSizes.indexOf(source)).toBeLessThan(windowSizes.indexOf(size))
    expect(windowLengthMs(size) % windowLengthMs(source), size).toBe(0)
  }
})
