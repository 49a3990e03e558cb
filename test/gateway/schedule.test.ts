import fc from 'fast-check'
import { validate } from 'node-cron'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { isSchedule } from '../../config/syntax/schedules.ts'
import { startSchedule } from '../../gateway/schedule.ts'

const MINUTE_MS = 60_000
const YEARS_MS = 50 * 365 * 24 * 60 * MINUTE_MS
/** Half past ten in the morning in any time zone. */
const START_MS = new Date(2026, 5, 1, 10, 30, 10).getTime()

beforeEach(() => {
  vi.useFakeTimers({ now: START_MS })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a schedule', () => {
  it('calls the work at each of its times, and not after it was disposed', () => {
    const work = vi.fn()
    const schedule = startSchedule('*/5 * * * *', work)
    vi.advanceTimersByTime(4 * MINUTE_MS)
    expect(work).toHaveBeenCalledTimes(0)
    vi.advanceTimersByTime(11 * MINUTE_MS)
    expect(work).toHaveBeenCalledTimes(3)
    schedule[Symbol.dispose]()
    vi.advanceTimersByTime(60 * MINUTE_MS)
    expect(work).toHaveBeenCalledTimes(3)
  })

  it('waits for a time that is hours away', () => {
    const work = vi.fn()
    using _schedule = startSchedule('0 3 * * *', work)
    vi.advanceTimersByTime(16 * 60 * MINUTE_MS)
    expect(work).toHaveBeenCalledTimes(0)
    vi.advanceTimersByTime(31 * MINUTE_MS)
    expect(work).toHaveBeenCalledTimes(1)
  })

  it.each([
    ['ahead', YEARS_MS],
    ['back', -YEARS_MS],
  ])('calls the work once and continues when the clock jumps %s by 50 years', (_, jumpMs) => {
    const work = vi.fn()
    using _schedule = startSchedule('* * * * *', work)
    vi.advanceTimersByTime(5 * MINUTE_MS)
    expect(work).toHaveBeenCalledTimes(5)
    vi.setSystemTime(Date.now() + jumpMs)
    vi.advanceTimersByTime(5 * MINUTE_MS)
    expect(work.mock.calls.length).toBeGreaterThanOrEqual(9)
    expect(work.mock.calls.length).toBeLessThanOrEqual(11)
  })
})

describe('a schedule that the configuration accepts', () => {
  const number = fc.integer({ min: 0, max: 13 }).map(String)
  const part = fc.oneof(
    fc.constantFrom('*', '*/5', '*/0', '', 'x', '5/', '1-'),
    number,
    fc.tuple(number, number).map(([from, to]) => `${from}-${to}`),
    fc.tuple(number, number, number).map(([from, to, step]) => `${from}-${to}/${step}`),
  )
  const field = fc
    .array(part, { minLength: 1, maxLength: 2, size: 'xsmall' })
    .map(parts => parts.join(','))
  const five = fc.array(field, { minLength: 5, maxLength: 5 }).map(fields => fields.join(' '))

  it('is valid for node-cron too', () => {
    let accepted = 0
    fc.assert(
      fc.property(five, text => {
        if (!isSchedule(text)) return
        accepted++
        expect(validate(text), text).toBe(true)
      }),
      { numRuns: 5000 },
    )
    expect(accepted).toBeGreaterThan(10)
  })

  it.each(['* * * * *', '0 3 * * 7', '*/5 1-4 1,15 */2 0-6', '0-59/10 0 1 1 0'])('%s', text => {
    expect(isSchedule(text)).toBe(true)
    expect(validate(text)).toBe(true)
  })

  it.each([
    ...['', '*', '* * * *', '* * * * * *', '60 * * * *', '* 24 * * *', '* * 0 * *', '* * * 13 *'],
    ...['* * * * 8', '5-1 * * * *', '*/0 * * * *', 'a * * * *', '*  * * * *', '@daily'],
  ])('not "%s"', text => {
    expect(isSchedule(text)).toBe(false)
  })
})
