import type { DirtyRows } from './memory/dirty-rows.ts'
import type { StateCache } from './memory/state-cache.ts'
import type { ActiveSeries } from './model/active-series.ts'
import { mergeAll, type PartialAggregate, type Point } from './model/partial-aggregate.ts'
import { addValuesToSketch, emptyQuarter, partialAggregateOf } from './model/quarter.ts'
import { mergeInto } from './model/sketch.ts'
import { emptyWindow, type Window } from './model/window.ts'
import {
  BASE_MS,
  BASE_SIZE,
  type LongWindowSize,
  longWindowSizes,
  sizesBuiltFrom,
  windowStartOf,
} from './model/window-sizes.ts'
import type { WindowTimers } from './time/window-timers.ts'

/**
 * The state of a partition in memory: cached rows, uncommitted changes, and the timers of windows
 * that are not published yet.
 */
export type AggregationState = {
  cache: StateCache
  dirty: DirtyRows
  timers: WindowTimers
  holdMaxMs: number
}

/** Appends a point that is not before the last point of its series. */
export function appendPoint(state: AggregationState, series: ActiveSeries, point: Point): void {
  const { at, value } = point
  if (!series.block || at >= series.block.start + BASE_MS) enterQuarter(state, series, point)
  series.quarter!.times.push(at)
  series.quarter!.values.push(value)
  series.last = point
  state.dirty.addBlock(series.owner, series.block!)
  if (series.isPublished) amendOpenWindows(state.dirty, series)
}

/** Marks the quarter and the open windows of a series as changed by a new point. */
export function amendOpenWindows(dirty: DirtyRows, series: ActiveSeries): void {
  dirty.amend(series, series.quarter!)
  for (const window of series.openWindows.values()) {
    dirty.amend(series, window)
    dirty.addWindow(window)
  }
}

/**
 * Creates the window of a series that contains `moment` (ms since 1970). `before` is the last point
 * before the window.
 */
export function createWindow(
  { cache, timers }: AggregationState,
  { owner, metric }: ActiveSeries,
  size: LongWindowSize,
  moment: number,
  before: Point | null,
): Window {
  const { site, zone, device } = owner.name
  const start = windowStartOf(size, moment)
  const window = emptyWindow({ site, zone, device, metric }, size, start, before)
  cache.windows.add(window)
  timers.add(owner.name, size, window.start)
  return window
}

/**
 * Closes the open quarter of a series and opens the quarter that contains a point. Does the same
 * for each longer window that does not contain the point.
 */
function enterQuarter(state: AggregationState, series: ActiveSeries, { at }: Point): void {
  const { cache, dirty, timers } = state
  const { owner, metric, last, openWindows } = series
  const start = windowStartOf(BASE_SIZE, at)
  if (series.quarter) closeQuarter(state, series)
  for (const size of longWindowSizes) {
    const open = openWindows.get(size)
    if (open?.start === windowStartOf(size, at)) continue
    if (open) closeWindow(state, series, open)
    openWindows.set(size, createWindow(state, series, size, at, last))
  }
  series.block = cache.blocks.forPoints(owner, start)
  series.block.endingSeries++
  series.quarter = emptyQuarter(start, last)
  series.block.quarters.set(metric, series.quarter)
  series.isPublished = [...openWindows.values()].some(window => window.publishedCount > 0)
  timers.add(owner.name, BASE_SIZE, start)
  owner.endBlockStarts.set(metric, start)
  if (start < owner.lastBlockStart) dirty.addSeriesEnds(owner)
}

function closeQuarter({ cache, holdMaxMs }: AggregationState, series: ActiveSeries): void {
  const quarter = series.quarter!
  const partial = partialAggregateOf(quarter, holdMaxMs)
  for (const size of sizesBuiltFrom(BASE_SIZE)) {
    const window = series.openWindows.get(size)!
    mergePartialInto(window, partial, holdMaxMs)
    addValuesToSketch(window.sketch, quarter)
  }
  cache.blocks.removeSeriesEnd(series.owner, series.block!)
}

/**
 * Closes a window and merges it into the longer open windows that are built from it. The caller has
 * closed all shorter windows in the window.
 */
function closeWindow(
  { cache, dirty, holdMaxMs }: AggregationState,
  { openWindows }: ActiveSeries,
  closing: Window,
): void {
  for (const size of sizesBuiltFrom(closing.size)) {
    const window = openWindows.get(size)!
    if (closing.partial) mergePartialInto(window, closing.partial, holdMaxMs)
    mergeInto(window.sketch, closing.sketch)
  }
  cache.windows.close(closing)
  dirty.addWindow(closing)
}

function mergePartialInto(window: Window, partial: PartialAggregate, holdMaxMs: number): void {
  window.partial = mergeAll([window.partial, partial], holdMaxMs)
}
