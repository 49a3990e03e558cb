import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  isBudgetExceeded,
  nextCommitWindowMs,
  type RecentWrites,
} from '../../../gateway/ingest/commit-window.ts'
import { createWriteBudget } from '../../../gateway/ingest/write-budget.ts'

const DAY_S = 86_400
const limits = { commitWindowMs: 20, commitWindowMaxMs: 1000 }
const budgeted = (writeBudgetBytesPerDay: number) => ({ ...limits, writeBudgetBytesPerDay })

const recentWrites: fc.Arbitrary<RecentWrites> = fc.record({
  elapsedMs: fc.integer({ min: 1, max: 60_000 }),
  bytes: fc.integer({ min: 0, max: 1e9 }),
  commits: fc.integer({ min: 0, max: 100_000 }),
  windowMs: fc.integer({ min: 20, max: 1000 }),
})
const window = fc.integer({ min: 20, max: 1000 })
const budget = fc.integer({ min: 1_048_576, max: 1e12 })

describe('the commit window', () => {
  it('stays within its limits', () => {
    fc.assert(
      fc.property(window, recentWrites, budget, (nowMs, recent, bytes) => {
        const next = nextCommitWindowMs(nowMs, recent, budgeted(bytes))
        expect(next).toBeGreaterThanOrEqual(20)
        expect(next).toBeLessThanOrEqual(1000)
        // One step moves the window by at most a tenth of the range.
        expect(Math.abs(next - nowMs)).toBeLessThanOrEqual(98.0001)
      }),
    )
  })

  it('is never narrower for more bytes, nor wider for a larger budget', () => {
    fc.assert(
      fc.property(
        window,
        recentWrites,
        budget,
        fc.integer({ min: 1, max: 1e9 }),
        (now, recent, bytes, more) => {
          const next = nextCommitWindowMs(now, recent, budgeted(bytes))
          const larger = { ...recent, bytes: recent.bytes + more }
          expect(nextCommitWindowMs(now, larger, budgeted(bytes))).toBeGreaterThanOrEqual(next)
          expect(nextCommitWindowMs(now, recent, budgeted(bytes + more))).toBeLessThanOrEqual(next)
        },
      ),
    )
  })

  it('is commitWindowMs without a budget', () => {
    const much = { elapsedMs: 1000, bytes: 1e9, commits: 50, windowMs: 1000 }
    expect(nextCommitWindowMs(1000, much, { ...limits, writeBudgetBytesPerDay: null })).toBe(20)
  })
})

/**
 * The load of a gateway: the bytes written for each commit and for each reading, and `beatBytes` a
 * second.
 */
type Load = {
  commitBytes: number
  readingBytes: number
  readingsPerS: number
  beatBytes: number
}

/**
 * Simulates a load for some seconds; returns the commit window and the written bytes of each
 * second.
 */
function run(load: Load, budgetPerDay: number, seconds: number) {
  const changes: (string | null)[] = []
  const budget = createWriteBudget(budgeted(budgetPerDay), beyond => changes.push(beyond))
  const windows: number[] = []
  const bytes: number[] = []
  let [total, commits, dueCommits] = [0, 0, 0]
  for (let second = 0; second < seconds; second++) {
    const { commitWindowMs } = budget.wear
    // A commit window starts with a reading, after the wait for that reading.
    dueCommits += 1000 / (commitWindowMs + 1000 / load.readingsPerS)
    const now = Math.floor(dueCommits) - commits
    for (let n = 0; n < now; n++)
      budget.recordCommit({ stored: load.readingsPerS / now, deadLettered: 0 })
    commits += now
    const { commitBytes, readingBytes, readingsPerS, beatBytes } = load
    const written = now * commitBytes + readingsPerS * readingBytes + beatBytes
    total += written
    bytes.push(written)
    windows.push(budget.recordSample(second * 1000, total))
  }
  return { windows, bytes, changes, wear: budget.wear }
}

const perDay = (bytes: number[]) => (bytes.reduce((a, b) => a + b) / bytes.length) * DAY_S
const steps = (windows: number[]) =>
  windows.slice(1).map((windowMs, index) => windowMs - windows[index]!)
const usual = { commitBytes: 24_000, readingBytes: 60, readingsPerS: 2000, beatBytes: 2000 }

describe('a write budget', () => {
  it('is reached without oscillation, whatever the traffic', () => {
    const loads = fc.record({
      commitBytes: fc.integer({ min: 8000, max: 40_000 }),
      readingBytes: fc.integer({ min: 10, max: 100 }),
      readingsPerS: fc.integer({ min: 100, max: 5000 }),
      beatBytes: fc.integer({ min: 0, max: 4000 }),
    })
    const widest = fc.integer({ min: 30, max: 900 })
    fc.assert(
      fc.property(loads, widest, (load, windowMs) => {
        // The budget that is kept by exactly this window.
        const { commitBytes, readingBytes, readingsPerS, beatBytes } = load
        const perS = readingsPerS * readingBytes + beatBytes
        const commitsPerS = 1000 / (windowMs + 1000 / readingsPerS)
        const budgetPerDay = ((perS + commitsPerS * commitBytes) * DAY_S) / 0.95
        const { windows, bytes, changes } = run(load, budgetPerDay, 3 * 3600)
        expect(perDay(bytes.slice(-600))).toBeLessThan(budgetPerDay)
        expect(windows.at(-1)).toBeGreaterThan(windowMs * 0.8)
        expect(windows.at(-1)).toBeLessThan(windowMs * 1.1)
        // The window only grows, except for the jitter of one commit in a minute.
        const back = steps(windows).filter(step => step < -1 - windowMs * 0.01)
        expect(back).toEqual([])
        expect(changes).toEqual([])
      }),
      { numRuns: 20 },
    )
  })

  it('does not change the window while less is written', () => {
    const { windows } = run(usual, 1e12, 300)
    expect(new Set(windows)).toEqual(new Set([20]))
    // Rare readings need many bytes each, but few bytes a day, so the window stays short.
    const slow = { ...usual, readingsPerS: 1, beatBytes: 0 }
    expect(new Set(run(slow, 5e9, 300).windows)).toEqual(new Set([20]))
  })

  it('is reported once when the widest window does not keep it, and when it is kept again', () => {
    const { windows, changes, wear } = run(usual, 1e9, 900)
    expect(windows.at(-1)).toBeCloseTo(1000)
    expect(changes).toEqual([
      expect.stringMatching(
        /outbox\.writeBudgetBytesPerDay = 1000000000 .*commitWindowMaxMs = 1000/,
      ),
    ])
    expect(wear.beyondBudget).toBe(changes[0])
    const minute = { elapsedMs: 60_000, commits: 60, windowMs: 1000 }
    const perMinute = 1e9 / 1440
    const beyond = (share: number, wasExceeded: boolean) =>
      isBudgetExceeded({ ...minute, bytes: perMinute * share }, budgeted(1e9), wasExceeded)
    expect([0.99, 1.01].map(share => beyond(share, false))).toEqual([false, true])
    expect([0.94, 0.96].map(share => beyond(share, true))).toEqual([false, true])
  })

  it('reports bytes a day and a reading over the last minute, once they are known', () => {
    expect(run(usual, 1e12, 9).wear).toMatchObject({ perDayBytes: null, perReadingBytes: null })
    const { wear, bytes } = run(usual, 1e12, 200)
    expect(wear.perDayBytes).toBeCloseTo(perDay(bytes.slice(-60)), -7)
    expect(wear.perReadingBytes).toBeCloseTo(perDay(bytes.slice(-60)) / DAY_S / 2000, 1)
    expect(wear.writtenBytes).toBe(bytes.reduce((a, b) => a + b))
  })
})
