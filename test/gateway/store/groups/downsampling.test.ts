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
    return all.map(({ skipped, ...event }) => {
      sequence += 1 + skipped
      return { ...event, sequence }
    })
  })

const keptOf = (all: SelectableEvent[]) => {
  const selection = createSelection()
  for (const event of all) selection.add(event)
  return selection.kept()
}

/** All values of each metric of each device, with the sequences of their events. */
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

describe('the events that thinning keeps', () => {
  it('have the first, lowest, highest and last value of each metric of each device', () => {
    fc.assert(
      fc.property(events, all => {
        const kept = keptOf(all)
        const expected = new Set<number>()
        for (const series of seriesOf(all).values()) {
          expected.add(series[0]!.sequence).add(series.at(-1)!.sequence)
          const numbers = series.filter(({ number }) => number !== null)
          const sorted = numbers.toSorted((a, b) => a.number! - b.number!)
          if (sorted[0]) expected.add(sorted[0].sequence)
          const highest = sorted.at(-1)?.number
          const highestAt = numbers.find(({ number }) => number === highest)
          if (highestAt) expected.add(highestAt.sequence)
        }
        expect([...kept].sort((a, b) => a - b)).toEqual([...expected].sort((a, b) => a - b))
      }),
    )
  })

  it('are kept when they are thinned once more', () => {
    fc.assert(
      fc.property(events, all => {
        const kept = keptOf(all)
        expect(keptOf(all.filter(({ sequence }) => kept.has(sequence)))).toEqual(kept)
      }),
    )
  })
})

describe('the mean of removed values', () => {
  it('is computed for each metric of each device', () => {
    fc.assert(
      fc.property(events, all => {
        const means = createMeans()
        for (const event of all) means.add(event)
        const fields = means.toNoteFields(1e6)
        expect(fields.meansLeftOut).toBe(undefined)
        for (const [site, zone, device, metric, count, mean] of fields.means) {
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

  it('is left out when there are too many, and left-out metrics are counted', () => {
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

describe('numbers encoded as runs', () => {
  it('are the same numbers after decoding', () => {
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
