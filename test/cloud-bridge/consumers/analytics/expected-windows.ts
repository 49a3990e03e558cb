import type { SensorReading } from '../../../../config/event/sensor-reading.ts'

/** A window computed plainly from all readings at once, in order of time. */
export type ExpectedWindow = {
  count: number
  sum: number
  min: number
  max: number
  last: number
  timeWeightedMean: number | null
  rise: number
  positiveMs: number
}

export type Point = { at: number; value: number }

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
      points.push({ at: timeOf(event), value })
    }
  }
  for (const points of series.values()) {
    points.sort((a, b) => a.at - b.at || a.value - b.value)
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
 * reading.
 */
export function expectedWindows(
  events: readonly SensorReading[],
  sizeMs: number,
  holdMaxMs: number,
  timeOf?: (event: SensorReading) => number,
): Map<string, ExpectedWindow> {
  const windows = new Map<string, ExpectedWindow>()
  for (const [name, points] of expectedSeries(events, timeOf)) {
    eachWindow(points, sizeMs, (start, inside, before) => {
      const window = expectedWindow(inside, before, start, start + sizeMs, holdMaxMs)
      windows.set(`${name} ${start}`, window)
    })
  }
  return windows
}

function expectedWindow(
  inside: readonly Point[],
  before: Point | undefined,
  start: number,
  end: number,
  holdMaxMs: number,
): ExpectedWindow {
  const values = inside.map(({ value }) => value)
  // A window depends on the points in it and on the last point before it.
  const known = before ? [before, ...inside] : inside
  let [knownMs, area, positiveMs, rise] = [0, 0, 0, 0]
  for (const [index, { at, value }] of known.entries()) {
    const next = known[index + 1]
    const until = Math.min(next?.at ?? Number.POSITIVE_INFINITY, at + holdMaxMs, end)
    const ms = Math.max(0, until - Math.max(at, start))
    knownMs += ms
    area += value * ms
    if (value > 0) positiveMs += ms
    if (next) rise += next.value >= value ? next.value - value : next.value
  }
  return {
    count: inside.length,
    sum: values.reduce((sum, value) => sum + value, 0),
    min: Math.min(...values),
    max: Math.max(...values),
    last: inside.at(-1)!.value,
    timeWeightedMean: knownMs > 0 ? area / knownMs : null,
    rise,
    positiveMs,
  }
}
