import { describe, expect, it } from 'vitest'
import { createClockCorrections } from '../../../gateway/ingest/clock-corrections.ts'

const YEAR_MS = 31_557_600_000

describe('retiming', () => {
  it('tells, once the clock is trusted, how far events before it were off', () => {
    const observe = createClockCorrections()
    expect(observe('UNSYNCED', 0, { from: 1, to: 10 })).toEqual([])
    expect(observe('UNSYNCED', 3, { from: 11, to: 20 })).toEqual([])
    expect(observe('UNSYNCED', -YEAR_MS, { from: 21, to: 30 })).toEqual([])
    // set right, but not known to be right yet
    expect(observe('UNSYNCED', 50 * YEAR_MS, { from: 31, to: 40 })).toEqual([])
    expect(observe('SYNCED', 50 * YEAR_MS + 7, { from: 41, to: 41 })).toEqual([
      { from: 1, to: 20, offsetMs: 50 * YEAR_MS + 7 },
      { from: 21, to: 30, offsetMs: 51 * YEAR_MS + 7 },
      { from: 31, to: 40, offsetMs: 0 },
    ])
    expect(observe('SYNCED', 0, { from: 42, to: 50 })).toEqual([])
  })

  it('begins anew when the clock is no longer trusted', () => {
    const observe = createClockCorrections()
    observe('UNSYNCED', 0, { from: 1, to: 1 })
    observe('SYNCED', 0, { from: 2, to: 2 })
    observe('HOLDOVER', 0, { from: 3, to: 4 })
    expect(observe('SYNCED', 1000, { from: 5, to: 5 })).toEqual([
      { from: 3, to: 4, offsetMs: 1000 },
    ])
  })

  it('remembers a thousand settings at most', () => {
    const observe = createClockCorrections()
    for (let n = 1; n <= 1500; n++) observe('UNSYNCED', n * 1000, { from: n, to: n })
    const retimed = observe('SYNCED', 0, { from: 1501, to: 1501 })
    expect(retimed).toHaveLength(1000)
    expect(retimed[0]).toEqual({ from: 501, to: 501, offsetMs: -501_000 })
  })
})
