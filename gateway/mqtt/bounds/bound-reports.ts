/** How long an alarm stays after the bound was reached for the last time. */
const ALARM_MS = 600_000
/** A bound that is reached again and again is logged once in this time. */
const LOG_EVERY_MS = 60_000

/**
 * A bound that was reached: its configuration key, its value, what the gateway did, how often
 * (once unless `count` is given), and the client that reached the bound, if one client did.
 */
export type BoundReport = {
  key: string
  value: number
  consequence: string
  count?: number
  client?: string | null
}

type Reached = { report: BoundReport; count: number; unlogged: number; loggedAtMs: number }

export type BoundReports = ReturnType<typeof createBoundReports>

/**
 * Collects which bounds of the broker were reached. Calls `log` with a sentence when a bound is
 * reached, at most once a minute for each bound. All times are of a monotonic clock, so a change of
 * the wall clock neither hides nor prolongs an alarm.
 */
export function createBoundReports(
  log: (fields: object, text: string) => void,
  onReached: (key: string, count: number) => void = () => {},
) {
  const reached = new Map<string, Reached & { atMs: number }>()
  return {
    report(report: BoundReport): void {
      const atMs = performance.now()
      const { key, client, count = 1 } = report
      const known = reached.get(key)
      const isRecent = known !== undefined && atMs - known.atMs < ALARM_MS
      const entry = isRecent
        ? { ...known, report, atMs, count: known.count + count, unlogged: known.unlogged + count }
        : { report, atMs, count, unlogged: count, loggedAtMs: Number.NEGATIVE_INFINITY }
      reached.set(key, entry)
      onReached(key, count)
      if (atMs - entry.loggedAtMs < LOG_EVERY_MS) return
      const fields = { key, times: entry.unlogged, ...(client == null ? {} : { client }) }
      log(fields, sentenceOf(report))
      entry.loggedAtMs = atMs
      entry.unlogged = 0
    },
    /** A sentence for each bound that was reached in the last ten minutes. */
    alarms(): string[] {
      const nowMs = performance.now()
      return [...reached.values()]
        .filter(({ atMs }) => nowMs - atMs < ALARM_MS)
        .map(({ report, count }) => {
          const times = count === 1 ? 'once' : `${count} times`
          const by =
            report.client == null ? '' : `, last by client ${JSON.stringify(report.client)}`
          return `${sentenceOf(report)} (${times} in the last minutes${by})`
        })
    },
  }
}

const sentenceOf = ({ key, value, consequence }: BoundReport) =>
  `${key} = ${value} is reached: ${consequence}`
