import { type AggregationState, amendOpenWindows, createWindow } from './in-order-readings.ts'
import type { StateCache } from './memory/state-cache.ts'
import type { ActiveSeries } from './model/active-series.ts'
import {
  emptyQuarter,
  firstPointOf,
  insertPoint,
  isBefore,
  lastPointOf,
  partialAggregateOf,
  type Quarter,
} from './model/chunk.ts'
import { mergeAll } from './model/complete-window.ts'
import type { Point } from './model/partial-aggregate.ts'
import { type LongWindowSize, startOf, windowSizesMs } from './model/series.ts'
import type { Window } from './model/window.ts'

const QUARTER_MS = windowSizesMs['15m']

/** Reads what is needed to put a point of a series where the series has been before. */
export async function loadForInsert(
  cache: StateCache,
  series: ActiveSeries,
  at: number,
): Promise<void> {
  const { owner, metric } = series
  const hour = startOf('1h', at)
  await cache.blocks.load(owner, hour, hour + windowSizesMs['1h'])
  const behind = await cache.blocks.next(owner, metric, startOf('15m', at) + QUARTER_MS)
  for (const moment of behind ? [at, firstPointOf(behind).at] : [at]) {
    const day = startOf('1d', moment)
    await cache.windows.load(series, '1h', day, day + windowSizesMs['1d'])
    await cache.windows.load(series, '1d', day, day + windowSizesMs['1d'])
  }
}

/**
 * Puts a point that is before the last one of its series where it belongs, and makes the windows
 * anew that it changes.
 */
export function insertLatePoint(place: AggregationState, series: ActiveSeries, point: Point): void {
  const { cache, changed, due } = place
  const { owner, metric } = series
  const start = startOf('15m', point.at)
  if (start === series.block!.start) {
    insertPoint(series.quarter!, point)
    changed.block(owner, series.block!)
    if (series.isTold) amendOpenWindows(changed, series)
    return
  }
  const behind = quarterBehind(series, start)
  const block = cache.blocks.enter(owner, start)
  let quarter = block.quarters.get(metric)
  if (!quarter) {
    // Nothing stands between this quarter and the one behind, so both have the same before.
    quarter = emptyQuarter(start, behind.before)
    block.quarters.set(metric, quarter)
    due.add(owner.name, '15m', start)
  }
  insertPoint(quarter, point)
  changed.amend(series, quarter)
  changed.block(owner, block)
  const isLast = quarter.at.at(-1) === point.at && quarter.values.at(-1) === point.value
  if (isLast) {
    behind.before = lastPointOf(quarter)
    changed.touch(series, behind)
    changed.block(owner, owner.blocks.get(behind.start)!)
  }
  const hour = windowOf(place, series, '1h', point, quarter)
  hour.sketch.accept(point.value)
  hour.piece = pieceOfHour(place, series, hour)
  const day = windowOf(place, series, '1d', point, quarter)
  if (hour.isLeft) {
    day.sketch.accept(point.value)
    day.piece = pieceOfDay(place, series, day)
  }
  for (const window of [hour, day]) {
    changed.amend(series, window)
    changed.window(window)
    if (isLast) beforeBehind(place, series, window, firstPointOf(behind), point)
  }
}

/** The first quarter of a series behind another, of those in memory: loadAround has seen to it. */
function quarterBehind({ owner, metric }: ActiveSeries, start: number): Quarter {
  let behind: Quarter | null = null
  for (const block of owner.blocks.values()) {
    if (block.start <= start || (behind && block.start > behind.start)) continue
    behind = block.quarters.get(metric) ?? behind
  }
  return behind!
}

/** The window in which a point is; where there is none, it begins with this point. */
function windowOf(
  place: AggregationState,
  series: ActiveSeries,
  size: LongWindowSize,
  { at }: Point,
  { before }: Quarter,
): Window {
  const { windows } = place.cache
  const there = windows.at(series, size, at)
  if (there) return there
  const window = createWindow(place, series, size, at, before)
  windows.leave(window)
  return window
}

/** The window behind this one may begin behind the point now. */
function beforeBehind(
  { cache, changed }: AggregationState,
  series: ActiveSeries,
  { size, start }: Window,
  behind: Point,
  point: Point,
): void {
  if (startOf(size, behind.at) === start) return
  const next = cache.windows.at(series, size, behind.at)!
  if (next.before && !isBefore(next.before, point)) return
  next.before = point
  changed.touch(series, next)
  changed.window(next)
}

/** Of an hour that is open: of what was left in it. */
function pieceOfHour(
  { cache, holdMaxMs }: AggregationState,
  { owner, metric, quarter }: ActiveSeries,
  hour: Window,
) {
  const parts = [...cache.blocks.of(owner, metric, hour.start, hour.start + windowSizesMs['1h'])]
  const left = parts.filter(one => one !== quarter)
  return mergeAll(
    left.map(one => partialAggregateOf(one, holdMaxMs)),
    holdMaxMs,
  )
}

function pieceOfDay({ cache, holdMaxMs }: AggregationState, series: ActiveSeries, day: Window) {
  const parts = [...cache.windows.hours(series, day.start, day.start + windowSizesMs['1d'])]
  const left = parts.filter(({ isLeft }) => isLeft)
  return mergeAll(
    left.map(({ piece }) => piece),
    holdMaxMs,
  )
}
