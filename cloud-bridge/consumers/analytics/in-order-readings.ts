import type { DirtyRows } from './memory/dirty-rows.ts'
import type { StateCache } from './memory/state-cache.ts'
import type { ActiveSeries } from './model/active-series.ts'
import { addValuesToSketch, emptyQuarter, partialAggregateOf } from './model/chunk.ts'
import { mergeAll } from './model/complete-window.ts'
import type { PartialAggregate, Point } from './model/partial-aggregate.ts'
import { type LongWindowSize, startOf, windowSizesMs } from './model/series.ts'
import { mergeInto } from './model/sketch.ts'
import { emptyWindow, type Window } from './model/window.ts'
import type { WindowTimers } from './time/window-timers.ts'

/** Where points are put: what is in memory, what changes, and what is to be told. */
export type AggregationState = {
  cache: StateCache
  changed: DirtyRows
  due: WindowTimers
  holdMaxMs: number
}

/** Appends a point that is not before the last one of its series. */
export function appendPoint(place: AggregationState, series: ActiveSeries, point: Point): void {
  const { at, value } = point
  if (!series.block || at >= series.block.start + windowSizesMs['15m']) enter(place, series, point)
  series.quarter!.at.push(at)
  series.quarter!.values.push(value)
  series.last = point
  place.changed.block(series.owner, series.block!)
  if (series.isTold) amendOpenWindows(place.changed, series)
}

/** A point came into the windows in which a series ends. */
export function amendOpenWindows(changed: DirtyRows, series: ActiveSeries): void {
  changed.amend(series, series.quarter!)
  for (const window of [series.hour!, series.day!]) {
    changed.amend(series, window)
    changed.window(window)
  }
}

/** Begins the window of a series that holds a moment, of which `before` is the point before it. */
export function createWindow(
  { cache, due }: AggregationState,
  { owner, metric }: ActiveSeries,
  size: LongWindowSize,
  at: number,
  before: Point | null,
): Window {
  const { site, zone, device } = owner.name
  const window = emptyWindow({ site, zone, device, metric }, size, startOf(size, at), before)
  cache.windows.keep(window)
  due.add(owner.name, size, window.start)
  return window
}

/** Leaves the quarter in which the series ends for that of a point, and hour and day as well. */
function enter(place: AggregationState, series: ActiveSeries, { at }: Point): void {
  const { cache, changed, due, holdMaxMs } = place
  const { owner, metric, last } = series
  const start = startOf('15m', at)
  if (series.quarter) {
    addPiece(series.hour!, partialAggregateOf(series.quarter, holdMaxMs), holdMaxMs)
    addValuesToSketch(series.hour!.sketch, series.quarter)
    cache.blocks.leave(owner, series.block!)
  }
  if (series.hour?.start !== startOf('1h', at)) {
    if (series.hour) {
      if (series.hour.piece) addPiece(series.day!, series.hour.piece, holdMaxMs)
      mergeInto(series.day!.sketch, series.hour.sketch)
      leave(series.hour)
    }
    series.hour = createWindow(place, series, '1h', at, last)
  }
  if (series.day?.start !== startOf('1d', at)) {
    if (series.day) leave(series.day)
    series.day = createWindow(place, series, '1d', at, last)
  }
  series.block = cache.blocks.enter(owner, start)
  series.block.ending++
  series.quarter = emptyQuarter(start, last)
  series.block.quarters.set(metric, series.quarter)
  series.isTold = series.hour.told + series.day.told > 0
  due.add(owner.name, '15m', start)
  owner.endings.set(metric, start)
  if (start < owner.latest) changed.endings(owner)

  function leave(window: Window) {
    cache.windows.leave(window)
    changed.window(window)
  }
}

function addPiece(window: Window, piece: PartialAggregate, holdMaxMs: number): void {
  window.piece = mergeAll([window.piece, piece], holdMaxMs)
}
