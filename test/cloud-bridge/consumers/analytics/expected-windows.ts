import {
  type Calendar,
  utcCalendar,
} from '../../../../cloud-bridge/consumers/analytics/model/calendar.ts'
import {
  beginMeterQuarter,
  createMeterState,
  createMeterTally,
  judgeReading,
} from '../../../../cloud-bridge/consumers/analytics/model/meter.ts'
import { lowerBound } from '../../../../config/collections/lower-bound.ts'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'

/** A window computed plainly from all readings at once, in order of time. */
export type ExpectedWindow = {
  count: number
  sum: number
  min: number | null
  max: number | null
  last: number | null
  timeWeightedMean: number | null
  rise: number
  positiveMs: number
}

export type Point = { at: number; value: number; sequence: number }

/** The values of each series by `site/zone/device/metric`, in order of time. */
export function expectedSeries(
  events: readonly SensorReading[],
  timeOf: (event: SensorReading) => number = ({ observedAt, receivedAt }) =>
    observedAt ?? receivedAt,
): Map<string, Point[]> {
  const series = new Map<string, Point[]>()
  for (const event of events) {
    for (const { metric, number, flag } of event.measurements) {
      const value = number ?? (flag === null ? null : Number(flag))
      if (value === null) continue
      const name = [event.site, event.zone, event.device, metric].join('/')
      const points = series.get(name) ?? []
      series.set(name, points)
      points.push({ at: timeOf(event), value, sequence: event.sequence })
    }
  }
  for (const points of series.values()) {
    points.sort((a, b) => a.at - b.at || a.sequence - b.sequence || a.value - b.value)
  }
  return series
}

/** Calls `visit` for each window with points: its points, and the last point before them. */
export function eachWindow(
  points: readonly Point[],
  sizeMs: number,
  visit: (start: number, inside: readonly Point[], before: Point | undefined) => void,
): void {
  for (let from = 0, to = 0; from < points.length; from = to) {
    const start = Math.floor(points[from]!.at / sizeMs) * sizeMs
    while (to < points.length && points[to]!.at < start + sizeMs) to++
    visit(start, points.slice(from, to), points[from - 1])
  }
}

/**
 * All windows of all series by `site/zone/device/metric start`; `timeOf` gives the event time of a
 * reading. A window without points is among them while the value before still counts in it.
 */
export function expectedWindows(
  events: readonly SensorReading[],
  sizeMs: number,
  holdMaxMs: number,
  { timeOf, calendar = utcCalendar }: ExpectedOptions = {},
): Map<string, ExpectedWindow> {
  const windows = new Map<string, ExpectedWindow>()
  for (const [name, points] of expectedSeries(events, timeOf)) {
    const rises = risesOf(points)
    const starts = new Set<number>()
    for (const [index, { at }] of points.entries()) {
      const until = Math.min(at + holdMaxMs, points[index + 1]?.at ?? Number.POSITIVE_INFINITY)
      let start = calendar.startOf(sizeMs, at)
      do {
        starts.add(start)
        start = calendar.endOf(sizeMs, start)
      } while (start < until)
    }
    for (const start of starts) {
      const end = calendar.endOf(sizeMs, start)
      windows.set(`${name} ${start}`, expectedWindow(points, rises, { start, end }, holdMaxMs))
    }
  }
  return windows
}

export type ExpectedOptions = { timeOf?: (event: SensorReading) => number; calendar?: Calendar }

/** What each reading of a meter adds. */
function risesOf(points: readonly Point[]): number[] {
  const state = createMeterState()
  let quarter = Number.NaN
  return points.map(({ at, value }) => {
    if (Math.floor(at / 900_000) !== quarter) beginMeterQuarter(state)
    quarter = Math.floor(at / 900_000)
    const tally = createMeterTally()
    judgeReading(state, value, tally)
    return tally.rise
  })
}

function expectedWindow(
  points: readonly Point[],
  rises: readonly number[],
  { start, end }: { start: number; end: number },
  holdMaxMs: number,
): ExpectedWindow {
  const first = lowerBound(points, ({ at }) => at < start)
  const to = lowerBound(points, ({ at }) => at < end)
  const values = points.slice(first, to).map(({ value }) => value)
  let [knownMs, area, positiveMs, rise] = [0, 0, 0, 0]
  for (let index = Math.max(0, first - 1); index < to; index++) {
    const { at, value } = points[index]!
    const next = points[index + 1]
    const until = Math.min(next?.at ?? Number.POSITIVE_INFINITY, at + holdMaxMs, end)
    const ms = Math.max(0, until - Math.max(at, start))
    knownMs += ms
    area += value * ms
    if (value > 0) positiveMs += ms
    if (at >= start && at < end) rise += rises[index]!
  }
  return {
    count: values.length,
    sum: values.reduce((sum, value) => sum + value, 0),
    min: values.length === 0 ? null : Math.min(...values),
    max: values.length === 0 ? null : Math.max(...values),
    last: values.at(-1) ?? null,
    timeWeightedMean: knownMs > 0 ? area / knownMs : null,
    rise,
    positiveMs,
  }
}
