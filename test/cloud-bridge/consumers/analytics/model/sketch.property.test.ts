import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  emptySketch,
  mergeInto,
  packSketch,
  quantile,
  type Sketch,
  unpackSketch,
} from '../../../../../cloud-bridge/consumers/analytics/model/sketch.ts'

const magnitude = fc.oneof(
  fc.double({ min: 1e-4, max: 1e-2, noNaN: true }),
  fc.double({ min: 1e-2, max: 1e3, noNaN: true }),
  fc.double({ min: 1e3, max: 1e9, noNaN: true }),
)
const anyValue = fc.oneof(
  magnitude,
  magnitude.map(value => -value),
  fc.constant(0),
)
/** Values in parts. Each part merges into the part of index `into`, packed before that or not. */
const parts = fc.array(
  fc.record({
    values: fc.array(anyValue, { maxLength: 40 }),
    into: fc.nat(),
    isPacked: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
)

describe('the sketch of a series', () => {
  it('gives percentiles within 1 % of the value of their rank, however its parts were merged', () => {
    fc.assert(
      fc.property(parts, fc.constantFrom(0, 0.05, 0.5, 0.95, 1), (all, fraction) => {
        let sketches = all.map(({ values }) => {
          const sketch = emptySketch()
          for (const value of values) sketch.accept(value)
          return sketch
        })
        for (const { into, isPacked } of all.slice(1)) {
          const last = sketches.pop()!
          const sketch = sketches[into % sketches.length]!
          mergeInto(sketch, isPacked ? unpackSketch(packSketch(last)) : last)
          if (isPacked) sketches = sketches.map(other => unpackSketch(packSketch(other)))
        }
        const [sketch] = sketches as [Sketch]
        const sorted = all.flatMap(({ values }) => values).sort((a, b) => a - b)
        const percentile = quantile(sketch, fraction)
        expect(sketch.count).toBe(sorted.length)
        if (sorted.length === 0) {
          expect(percentile).toBeNull()
          return
        }
        const exact = sorted[Math.floor(fraction * (sorted.length - 1))]!
        expect(Math.abs(percentile! - exact)).toBeLessThanOrEqual(Math.abs(exact) * 0.010_000_1)
      }),
      { numRuns: 300 },
    )
  })

  it('stays small and correct for values as far apart as possible', () => {
    const sketch = emptySketch()
    const values: number[] = []
    for (let power = -300; power <= 15; power += 0.01) values.push(-(10 ** power), 10 ** power)
    for (const value of values) sketch.accept(value)
    expect(packSketch(sketch).length).toBeLessThan(2 * 3200 * 8)
    expect(sketch.zeroCount).toBe(values.filter(value => Math.abs(value) <= 1e-12).length)
    values.sort((a, b) => a - b)
    for (const fraction of [0, 0.02, 0.97, 1]) {
      const exact = values[Math.floor(fraction * (values.length - 1))]!
      expect(quantile(sketch, fraction)! / exact).toBeCloseTo(1, 1)
    }
  })
})
