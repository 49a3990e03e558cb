import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  beginMeterQuarter,
  createMeterState,
  createMeterTally,
  isSameMeterState,
  judgeReading,
  type MeterTally,
  meterStateOf,
  numbersOfMeterState,
} from '../../../../../cloud-bridge/consumers/analytics/model/meter.ts'

/** A fall by less than an ordinary rise is a dip, whatever follows. In thousandths. */
const SMALLEST_RESET = 40_000

function judge(values: readonly number[], quarterEvery = 5): MeterTally {
  const state = createMeterState()
  const tally = createMeterTally()
  for (const [index, value] of values.entries()) {
    if (index % quarterEvery === 0) beginMeterQuarter(state)
    judgeReading(state, value, tally)
  }
  return tally
}

const none = {
  ...{ resets: 0, glitches: 0, dips: 0, rollovers: 0, reversals: 0, unjudged: 0 },
}
const named: [string, number[], number, Partial<MeterTally>][] = [
  ['a dip', [15508.2, 15508.3, 15508.2, 15508.4, 15508.6], 0.4, { dips: 1 }],
  ['a zero that comes back', [15508, 15508.2, 0, 15508.3, 15508.5], 0.5, { glitches: 1 }],
  ['an error code', [15508, 15508.2, -1, -1, 15508.3], 0.3, { glitches: 1 }],
  ['a jump that comes back', [100, 100.5, 99_999, 101, 101.5], 1.5, { glitches: 1 }],
  ['feed-in below zero', [-467114, -467115, -467116, -467118], -4, {}],
  ['feed-in after use', [100, 101, 100, 99, 97, 98, 99, 100], 0, { reversals: 2 }],
  ['a new meter', [500, 501, 0, 0.5, 1, 2], 3, { resets: 1 }],
  ['a counter that stays at zero', [500, 501, 0, 0, 0, 0, 1], 2, { resets: 1 }],
  ['a long zero that comes back', [500, 501, 0, 0, 0, 0, 501.5], 1.5, { resets: 1, glitches: 1 }],
  ['10^5', [99_998, 99_999, 0, 1, 2], 4, { rollovers: 1 }],
  ['2^16', [65_530, 65_535, 1, 3, 4], 10, { rollovers: 1 }],
  ['another used meter', [15_508, 15_509, 12_000, 12_001, 12_002, 12_003], 4, { unjudged: 1 }],
  ['a plain counter', [0, 1, 1, 2, 5], 5, {}],
]

describe('a meter', () => {
  it.each(named)('judges %s', (_, values, rise, judged) => {
    expect(judge(values)).toEqual({ ...none, ...judged, rise: expect.closeTo(rise, 6) })
  })

  it('gives the true sum of any consumption, or counts what could not be judged', () => {
    const disturbance = fc.constantFrom('none', 'dip', 'zero', 'error', 'jump', 'reset', 'rollover')
    const stretch = fc.record({
      // Thousandths of a unit, so that sums are exact enough to compare.
      rises: fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 6, maxLength: 12 }),
      disturbance,
      length: fc.integer({ min: 1, max: 2 }),
    })
    const roll = fc.oneof(
      fc.integer({ min: 4, max: 9 }).map(digits => 10 ** digits),
      fc.integer({ min: 16, max: 32 }).map(digits => 2 ** digits),
    )
    const start = fc.integer({ min: 100, max: 900_000 })
    const direction = fc.constantFrom(1, -1)
    const check = (
      stretches: { rises: number[]; disturbance: string; length: number }[],
      from: number,
      end: number,
      sign: number,
    ) => {
      let [counter, truth] = [from * 1000, 0]
      const expected = { ...none }
      const readings: number[] = []
      const read = (value: number) => readings.push((sign * value) / 1000)
      read(counter)
      const add = (rises: readonly number[]) => {
        for (const rise of rises) {
          counter += rise
          truth += rise
          read(counter)
        }
      }
      for (const { rises, disturbance, length } of stretches) {
        add(rises)
        const disturb = (value: number) => {
          for (let nth = 0; nth < length; nth++) read(value)
        }
        if (disturbance === 'dip') {
          disturb(counter - 50)
          expected.dips++
        } else if (disturbance === 'zero' || disturbance === 'error') {
          disturb(disturbance === 'zero' ? 0 : sign * -1000)
          expected.glitches++
        } else if (disturbance === 'jump') {
          disturb(counter * 3 + 10_000)
          expected.glitches++
        } else if (disturbance === 'reset' && counter > SMALLEST_RESET) {
          counter = 0
          expected.resets++
        } else if (disturbance === 'rollover') {
          counter = end * 1000 - 900
          readings.length = 0
          truth = 0
          Object.assign(expected, none)
          read(counter)
          add([300, 300, 299])
          counter -= end * 1000
          expected.rollovers++
        }
      }
      add([200, 100, 300, 100, 200, 300])
      const tally = judge(readings)
      const isTrue = Math.abs(tally.rise - (sign * truth) / 1000) < 1e-3
      if (!isTrue)
        expect({ tally, truth: (sign * truth) / 1000, unjudged: tally.unjudged }).toMatchObject({
          unjudged: expect.toSatisfy((n: number) => n > 0),
        })
      return isTrue
    }
    let [trueCount, count] = [0, 0]
    fc.assert(
      fc.property(
        fc.array(stretch, { minLength: 1, maxLength: 6 }),
        start,
        roll,
        direction,
        (...args) => {
          count++
          if (check(...args)) trueCount++
        },
      ),
      { numRuns: 3000, seed: 15 },
    )
    expect(trueCount / count).toBeGreaterThan(0.9)
  })

  it('has a state that packs into numbers, and forgets what is over', () => {
    const stateAfter = (values: number[]) => {
      const state = createMeterState()
      for (const value of values) judgeReading(state, value, createMeterTally())
      beginMeterQuarter(state)
      return state
    }
    const state = stateAfter([500, 501, 0, 500.5, 502])
    expect(meterStateOf(numbersOfMeterState(state))).toEqual(state)
    expect(isSameMeterState(state, stateAfter([500, 501, 501.5, 502.5].map(n => n - 0.5)))).toBe(
      true,
    )
    expect(isSameMeterState(state, stateAfter([500, 501, 0, 502]))).toBe(true)
    expect(isSameMeterState(state, stateAfter([500, 501, 0]))).toBe(false)
  })
})
