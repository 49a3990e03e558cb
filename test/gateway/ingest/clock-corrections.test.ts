import { describe, expect, it } from 'vitest'
import { createClockCorrections } from '../../../gateway/ingest/clock-corrections.ts'

const YEAR_MS = 31_557_600_000

describe('clock corrections', () => {
  it('are given for all earlier events once the clock is trusted', () => {
    const correct = createClockCorrections()
    expect(correct('UNSYNCED', 0, { from: 1, to: 10 })).toEqual([])
    expect(correct('UNSYNCED', 3, { from: 11, to: 20 })).toEqual([])
    expect(correct('UNSYNCED', -YEAR_MS, { from: 21, to: 30 })).toEqual([])
    // The clock is right, but not trusted yet.
    expect(correct('UNSYNCED', 50 * YEAR_MS, { from: 31, to: 40 })).toEqual([])
    expect(correct('SYNCED', 50 * YEAR_MS + 7, { from: 41, to: 41 })).toEqual([
      { from: 1, to: 20, offsetMs: 50 * YEAR_MS + 7 },
      { from: 21, to: 30, offsetMs: 51 * YEAR_MS + 7 },
      { from: 31, to: 40, offsetMs: 0 },
    ])
    expect(correct('SYNCED', 0, { from: 42, to: 50 })).toEqual([])
  })

  it('start over when the clock is no longer trusted', () => {
    const correct = createClockCorrections()
    correct('UNSYNCED', 0, { from: 1, to: 1 })
    correct('SYNCED', 0, { from: 2, to: 2 })
    correct('HOLDOVER', 0, { from: 3, to: 4 })
    expect(correct('SYNCED', 1000, { from: 5, to: 5 })).toEqual([
      { from: 3, to: 4, offsetMs: 1000 },
    ])
  })

  it('remember at most a thousand settings of the clock', () => {
    const correct = createClockCorrections()
    for (let n = 1; n <= 1500; n++) correct('UNSYNCED', n * 1000, { from: n, to: n })
    const corrections = correct('SYNCED', 0, { from: 1501, to: 1501 })
    expect(corrections).toHaveLength(1000)
    expect(corrections[0]).toEqual({ from: 501, to: 501, offsetMs: -501_000 })
  })
})
