import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IntervalSet } from '../../cloud-bridge/interval-set.ts'

const number = fc.integer({ min: 1, max: 60 })
const range = fc.tuple(number, number).map(pair => pair.sort((a, b) => a - b))
/** A number, or a range of them. */
const additions = fc.array(fc.oneof(number, range), { minLength: 1, maxLength: 80 })
const numbersIn = ([from, to]: readonly number[]) =>
  Array.from({ length: to! - from! + 1 }, (_, at) => from! + at)

/** The same numbers in the intervals and in a plain set; each number is its own mark. */
function build(all: (number | number[])[]) {
  const intervals = new IntervalSet<number>()
  const model = new Set<number>()
  for (const one of all) {
    if (typeof one === 'number') expect(intervals.add(one, one)).toBe(!model.has(one))
    else intervals.addRange(one[0]!, one[1]!)
    for (const each of typeof one === 'number' ? [one] : numbersIn(one)) model.add(each)
  }
  return { intervals, model }
}

describe('Intervals', () => {
  it('tells new from seen and names every hole, as a plain set does', () => {
    fc.assert(
      fc.property(additions, all => {
        const { intervals, model } = build(all)
        const [lowest, highest] = [Math.min(...model), Math.max(...model)]
        const missing = numbersIn([lowest, highest]).filter(each => !model.has(each))
        expect(intervals.innerGaps.flatMap(numbersIn)).toEqual(missing)
        expect([intervals.lowest, intervals.highest]).toEqual([lowest, highest])
        expect(intervals.spans.flatMap(numbersIn)).toEqual([...model].sort((a, b) => a - b))
      }),
    )
  })

  it('tells what is missing in any range, and whether anything is', () => {
    fc.assert(
      fc.property(additions, range, (all, [from, to]) => {
        const { intervals, model } = build(all)
        const missing = numbersIn([from!, to!]).filter(each => !model.has(each))
        const gaps = intervals.gaps(from!, to!)
        expect(gaps.flatMap(gap => numbersIn([gap.from, gap.to]))).toEqual(missing)
        expect(intervals.covers(from!, to!)).toBe(missing.length === 0)
      }),
    )
  })

  it('knows the marks at the edges of a hole', () => {
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

  it('stays right with thousands of holes that are filled in any order', () => {
    const intervals = new IntervalSet()
    for (let each = 0; each < 20_000; each += 2) intervals.add((each * 7919) % 20_000)
    expect(intervals.innerGaps).toHaveLength(9999)
    for (let each = 1; each < 20_000; each += 2) intervals.add(20_000 - each)
    expect(intervals.spans).toEqual([[0, 19_999]])
  })
})
