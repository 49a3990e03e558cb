import type { TimeProblem } from './observed-at.ts'

/** A device whose time is strange, for one line in the log. */
export type TimeReport = TimeProblem & {
  site: string
  zone: string
  device: string
  topic: string
}

/** How many messages had each kind of strange time, since the start. */
export type TimeProblemCounts = Record<TimeProblem['kind'], number>

export type TimeProblems = ReturnType<typeof createTimeProblems>

/** How many devices are reported in one run, and how many within a minute. */
const DEVICES_MAX = 1000
const PER_MINUTE_MAX = 10
const MINUTE_MS = 60_000

/**
 * Counts strange times of devices, and reports each device once. At most 1,000 devices are reported
 * in one run and 10 within a minute; the others are only counted.
 */
export function createTimeProblems(monotonicMs = () => performance.now()) {
  const counts: TimeProblemCounts = { 'too early': 0, 'too late': 0, 'no offset': 0, skipped: 0 }
  const reported = new Set<string>()
  let minute = { startMs: Number.NEGATIVE_INFINITY, reports: 0 }
  let reports: TimeReport[] = []
  return {
    /** Must be called for each message with a strange time. */
    record(report: TimeReport): void {
      counts[report.kind]++
      const { site, zone, device } = report
      const name = JSON.stringify([site, zone, device])
      if (reported.size >= DEVICES_MAX || reported.has(name)) return
      if (monotonicMs() - minute.startMs >= MINUTE_MS) {
        minute = { startMs: monotonicMs(), reports: 0 }
      }
      if (minute.reports >= PER_MINUTE_MAX) return
      minute.reports++
      reported.add(name)
      reports.push(report)
    },
    counts: (): TimeProblemCounts => ({ ...counts }),
    /** The new reports since the last call. */
    newReports(): TimeReport[] {
      const fresh = reports
      reports = []
      return fresh
    },
  }
}
