import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createBoundReports } from '../../../../gateway/mqtt/bounds/bound-reports.ts'

const MINUTE_MS = 60_000

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a bound that is reached', () => {
  const report = { key: 'gateway.mqtt.retainedMax', value: 2, consequence: 'nothing is retained' }

  it('is logged at most once a minute, counted each time, and an alarm for ten minutes', () => {
    const logged: object[] = []
    const counted: [string, number][] = []
    const reports = createBoundReports(
      fields => logged.push(fields),
      (key, count) => counted.push([key, count]),
    )
    expect(reports.alarms()).toEqual([])
    for (let time = 0; time < 3; time++) reports.report({ ...report, client: 'c' })
    reports.report({ ...report, count: 4 })
    expect(logged).toEqual([{ key: report.key, times: 1, client: 'c' }])
    expect(counted.map(([, count]) => count)).toEqual([1, 1, 1, 4])
    expect(reports.alarms()).toEqual([
      'gateway.mqtt.retainedMax = 2 is reached: nothing is retained (7 times in the last minutes)',
    ])
    vi.advanceTimersByTime(MINUTE_MS)
    reports.report(report)
    expect(logged.at(-1)).toEqual({ key: report.key, times: 7 })
    vi.advanceTimersByTime(10 * MINUTE_MS)
    expect(reports.alarms()).toEqual([])
  })
})
