import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IntervalSet } from '../../cloud-bridge/interval-set.ts'

const number = fc.integer({ min: 1, max: 60 })
const range = fc.tuple(number, number).map(pair => pair.sort((a, b) => a - b))
/** Additions to the set: single numbers and ranges of numbers. */
const additions = fc.array(fc.oneof(number, range), { minLength: 1, maxLength: 80 })
const numbersIn = ([from, to]: readonly number[]) =>
  Array.from({ length: to! - from! + 1 }, (_, at) => from! + at)

/** The same numbers in an interval set and in a plain set; each number is its own mark. */
function build(all: (number | number[])[]) {
  const intervals = new IntervalSet<number>()
  const model = new Set<number>()
  for (const addition of all) {
    if (typeof addition === 'number') {
      expect(intervals.add(addition, addition)).toBe(!model.has(addition))
    } else intervals.addRange(addition[0]!, addition[1]!)
    const numbers = typeof addition === 'number' ? [addition] : numbersIn(addition)
    for (const added of numbers) model.add(added)
  }
  return { intervals, model }
}

describe('the interval set', () => {
  it('knows new numbers and names every gap, as a plain set does', () => {
    fc.assert(
      fc.property(additions, all => {
        const { intervals, model } = build(all)
        const [lowest, highest] = [Math.min(...model), Math.max(...model)]
        const missing = numbersIn([lowest, highest]).filter(candidate => !model.has(candidate))
        expect(intervals.innerGaps.flatMap(numbersIn)).toEqual(missing)
        expect([intervals.lowest, intervals.highest]).toEqual([lowest, highest])
        expect(intervals.spans.flatMap(numbersIn)).toEqual([...model].sort((a, b) => a - b))
      }),
    )
  })

  it('names the missing numbers of any range', () => {
    fc.assert(
      fc.property(additions, range, (all, [from, to]) => {
        const { intervals, model } = build(all)
        const missing = numbersIn([from!, to!]).filter(candidate => !model.has(candidate))
        const gaps = intervals.gaps(from!, to!)
        expect(gaps.flatMap(gap => numbersIn([gap.from, gap.to]))).toEqual(missing)
        expect(intervals.covers(from!, to!)).toBe(missing.length === 0)
      }),
    )
  })

  it('knows the marks at the edges of a gap', () => {
    fc.assert(
      fc.property(fc.array(number, { minLength: 1 }), all => {
        const { intervals, model } = build(all)
        for (const { from, to, before, after } of intervals.gaps(0, 61)) {
          expect(before).toBe(model.has(from - 1) ? from - 1 : undefined)
          expect(after).toBe(model.has(to + 1) ? to + 1 : undefined)
        }
      }),
    )
  })

  it('is right with thousands of gaps that are filled in any order', () => {
    const intervals = new IntervalSet()
    for (let n = 0; n < 20_000; n += 2) intervals.add((n * 7919) % 20_000)
    expect(intervals.innerGaps).toHaveLength(9999)
    for (let n = 1; n < 20_000; n += 2) intervals.add(20_000 - n)
    expect(intervals.spans).toEqual([[0, 19_999]])
  })
})
