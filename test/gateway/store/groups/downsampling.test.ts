import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createMeans,
  createSelection,
  type SelectableEvent,
} from '../../../../gateway/store/groups/downsampling.ts'
import { decodeRuns, encodeRuns } from '../../../../gateway/store/sequence/spans.ts'

const measurement = fc
  .record({
    metric: fc.constantFrom('t', 'h', '__proto__'),
    number: fc.option(fc.integer({ min: -5, max: 5 }), { freq: 4 }),
  })
  .map(({ metric, number }) => ({ metric, number, flag: null, text: null, unit: null }))
const events: fc.Arbitrary<SelectableEvent[]> = fc
  .array(
    fc.record({
      site: fc.constant('hq'),
      zone: fc.constantFrom('z1', 'z2'),
      device: fc.constantFrom('a', 'b', 'constructor'),
      measurements: fc.array(measurement, { maxLength: 3 }),
      skipped: fc.nat(3),
    }),
    { maxLength: 80 },
  )
  .map(all => {
    let sequence = 0
    return all.map(({ skipped, ...one }) => {
      sequence += 1 + skipped
      return { ...one, sequence }
    })
  })

const keptOf = (all: SelectableEvent[]) => {
  const selection = createSelection()
  for (const one of all) selection.add(one)
  return selection.kept()
}

/** All values of each metric of each device, with the numbers of their events. */
function seriesOf(all: SelectableEvent[]) {
  const series = new Map<string, { sequence: number; number: number | null }[]>()
  for (const { sequence, zone, device, measurements } of all) {
    const metrics = measurements.length > 0 ? measurements : [{ metric: '', number: null }]
    for (const { metric, number } of metrics) {
      const key = JSON.stringify([zone, device, metric])
      series.set(key, [...(series.get(key) ?? []), { sequence, number }])
    }
  }
  return series
}

describe('what is kept of events that are thinned', () => {
  it('is the first, lowest, highest and last value of each metric of each device', () => {
    fc.assert(
      fc.property(events, all => {
        const kept = keptOf(all)
        const wanted = new Set<number>()
        for (const series of seriesOf(all).values()) {
          wanted.add(series[0]!.sequence).add(series.at(-1)!.sequence)
          const numbers = series.filter(({ number }) => number !== null)
          const sorted = numbers.toSorted((a, b) => a.number! - b.number!)
          if (sorted[0]) wanted.add(sorted[0].sequence)
          const highest = sorted.at(-1)?.number
          const highestAt = numbers.find(({ number }) => number === highest)
          if (highestAt) wanted.add(highestAt.sequence)
        }
        expect([...kept].sort((a, b) => a - b)).toEqual([...wanted].sort((a, b) => a - b))
      }),
    )
  })

  it('is kept again when it is thinned once more', () => {
    fc.assert(
      fc.property(events, all => {
        const kept = keptOf(all)
        expect(keptOf(all.filter(({ sequence }) => kept.has(sequence)))).toEqual(kept)
      }),
    )
  })
})

describe('the mean of what went', () => {
  it('is that of the numbers of each metric of each device', () => {
    fc.assert(
      fc.property(events, all => {
        const means = createMeans()
        for (const one of all) means.add(one)
        const told = means.toNoteFields(1e6)
        expect(told.meansLeftOut).toBe(undefined)
        for (const [site, zone, device, metric, count, mean] of told.means) {
          expect(site).toBe('hq')
          const numbers = seriesOf(all)
            .get(JSON.stringify([zone, device, metric]))!
            .flatMap(({ number }) => number ?? [])
          expect(count).toBe(numbers.length)
          expect(mean).toBeCloseTo(numbers.reduce((a, b) => a + b, 0) / count)
        }
      }),
    )
  })

  it('is left out where there are too many, and says so', () => {
    const means = createMeans()
    const [flag, text, unit] = [null, null, null]
    for (const device of ['a', 'b', 'c']) {
      const measurements = [{ metric: 'm', number: 1, flag, text, unit }]
      means.add({ site: 's', zone: 'z', device, measurements })
    }
    expect(means.toNoteFields(60)).toEqual({
      means: [
        ['s', 'z', 'a', 'm', 1, 1],
        ['s', 'z', 'b', 'm', 1, 1],
      ],
      meansLeftOut: 1,
    })
  })
})

describe('numbers in runs', () => {
  it('are the same numbers when they are read', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(60)), some => {
        const numbers = some.sort((a, b) => a - b)
        const read = decodeRuns(encodeRuns(numbers)).flatMap(({ from, to }) =>
          Array.from({ length: to - from + 1 }, (_, n) => from + n),
        )
        expect(read).toEqual(numbers)
      }),
    )
    expect(encodeRuns([5, 6, 9])).toEqual([5, 2, 2, 1])
    for (const wrong of [null, 'x', [1, 'x'], [-1, 2], [0.5, 1]])
      expect(decodeRuns(wrong)).toEqual([])
  })
})
