import { describe, expect, it } from 'vitest'
import type { ClockState } from '../../../../config/event/sensor-reading.ts'
import { createGroupAges } from '../../../../gateway/store/retention/group-age.ts'

const HOUR_MS = 3_600_000
const NOW = 1_700_000_000_000

/** The ages of groups in a run with epoch 2, which started after sequence 100. */
function createRun() {
  const time = { monotonicMs: 5_000_000, wallMs: NOW }
  const ages = createGroupAges({
    ...{ epoch: 2, lastSequence: 100 },
    monotonicMs: () => time.monotonicMs,
    wallMs: () => time.wallMs,
  })
  const pass = (hours: number) => {
    time.monotonicMs += hours * HOUR_MS
    time.wallMs += hours * HOUR_MS
  }
  return { time, ages, pass }
}
const earlier = (to: number, ageHours: number) => ({
  ...{ to, epoch: 1, receivedTo: NOW - ageHours * HOUR_MS },
})
const always = (clock: ClockState | null) => () => clock

describe('the age of a group', () => {
  it('of an earlier run follows the clock only if the clock was and is trusted', () => {
    const { ages } = createRun()
    const groups = [earlier(90, 30), earlier(100, 20)]
    const older = (hours: number, clock: ClockState | null) =>
      ages.countOlder(groups, hours, always(clock))
    expect(older(25, 'SYNCED')).toBe(0)
    ages.recordProgress('SYNCED', 100)
    expect([older(35, 'SYNCED'), older(25, 'SYNCED'), older(15, 'SYNCED')]).toEqual([0, 1, 2])
    expect([older(25, 'UNSYNCED'), older(25, 'HOLDOVER'), older(25, null)]).toEqual([0, 0, 0])
    ages.recordProgress('UNSYNCED', 100)
    expect(older(15, 'SYNCED')).toBe(0)
  })

  it('does not change when the clock jumps in this run', () => {
    const { ages, time } = createRun()
    ages.recordProgress('SYNCED', 100)
    time.wallMs += 500_000 * HOUR_MS
    ages.recordProgress('SYNCED', 100)
    const groups = [earlier(100, 20)]
    expect(ages.countOlder(groups, 25, always('SYNCED'))).toBe(0)
    expect(ages.isOlderThan(NOW - 20 * HOUR_MS, 25)).toBe(false)
    expect(ages.isOlderThan(NOW - 20 * HOUR_MS, 15)).toBe(true)
  })

  it('grows with this run although nothing else is known of the group', () => {
    const { ages, pass } = createRun()
    pass(12)
    ages.recordProgress('SYNCED', 100)
    expect(ages.countOlder([earlier(100, -1_000_000)], 11, always(null))).toBe(1)
    expect(ages.countOlder([earlier(100, -1_000_000)], 13, always(null))).toBe(0)
  })

  it('is never overstated, however long the run', () => {
    const { ages, pass } = createRun()
    const stored: { to: number; epoch: number; receivedTo: number; atHours: number }[] = []
    for (let hours = 0; hours < 10_000; hours++) {
      pass(1)
      ages.recordProgress('SYNCED', 101 + hours)
      // By the wall clock the group is very old, but only monotonic time may count.
      stored.push({ to: 101 + hours, epoch: 2, receivedTo: 0, atHours: hours })
    }
    for (const hours of [10, 100, 5000]) {
      const count = ages.countOlder(stored, hours, always('SYNCED'))
      expect(stored[count - 1]!.atHours).toBeLessThanOrEqual(9999 - hours)
      expect(stored[count - 1]!.atHours).toBeGreaterThan(9999 - hours - 20)
    }
  })
})
