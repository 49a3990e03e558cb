import type { SensorReading } from '../../../../config/events.ts'

/** What a window has to come to, computed plainly from all readings at once, in order of time. */
export type ByHand = {
  count: number
  sum: number
  min: number
  max: number
  last: number
  timeWeightedMean: number | null
  rise: number
  positiveMs: number
}

type Point = { at: number; value: number }

/**
 * All windows of all series by `site/zone/device/metric start`; `timeOf` says when a reading was.
 */
export function byHand(
  events: readonly SensorReading[],
  sizeMs: number,
  holdMaxMs: number,
  timeOf: (event: SensorReading) => number = ({ observedAt, receivedAt }) =>
    observedAt ?? receivedAt,
): Map<string, ByHand> {
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
  const found = new Map<string, ByHand>()
  for (const [name, points] of series) {
    points.sort((one, other) => one.at - other.at || one.value - other.value)
    const starts = new Set(points.map(({ at }) => Math.floor(at / sizeMs) * sizeMs))
    for (const start of starts) {
      found.set(`${name} ${start}`, windowOf(points, start, start + sizeMs, holdMaxMs))
    }
  }
  return found
}

function windowOf(points: Point[], start: number, end: number, holdMaxMs: number): ByHand {
  const inside = points.filter(({ at }) => at >= start && at < end)
  const values = inside.map(({ value }) => value)
  let [held, area, positiveMs, rise] = [0, 0, 0, 0]
  for (const [index, { at, value }] of points.entries()) {
    const next = points[index + 1]
    const until = Math.min(next?.at ?? Number.POSITIVE_INFINITY, at + holdMaxMs, end)
    // A window knows the values in it and the one before it.
    const isBefore = at < start && next && next.at >= start && next.at < end
    if (!isBefore && !(at >= start && at < end)) continue
    const ms = Math.max(0, until - Math.max(at, start))
    held += ms
    area += value * ms
    if (value > 0) positiveMs += ms
  }
  for (const [index, { at, value }] of points.entries()) {
    const before = points[index - 1]
    if (!before || at < start || at >= end) continue
    rise += value >= before.value ? value - before.value : value
  }
  return {
    count: inside.length,
    sum: values.reduce((sum, value) => sum + value, 0),
    min: Math.min(...values),
    max: Math.max(...values),
    last: inside.at(-1)!.value,
    timeWeightedMean: held > 0 ? area / held : null,
    rise,
    positiveMs,
  }
}
