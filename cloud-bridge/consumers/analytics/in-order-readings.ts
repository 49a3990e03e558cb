import type { DirtyRows } from './memory/dirty-rows.ts'
import type { StateCache } from './memory/state-cache.ts'
import type { ActiveSeries } from './model/active-series.ts'
import { beginMeterQuarter, createMeterState, type MeterState } from './model/meter.ts'
import { mergeAll, type PartialAggregate, type Point } from './model/partial-aggregate.ts'
import {
  addValuesToSketch,
  appendToQuarter,
  copyOf,
  emptyQuarter,
  type OrderedPoint,
  partialAggregateOf,
  type Quarter,
} from './model/quarter.ts'
import { mergeInto } from './model/sketch.ts'
import { emptyWindow, type Window } from './model/window.ts'
import {
  BASE_MS,
  BASE_SIZE,
  type LongWindowSize,
  longWindowSizes,
  quarterStartOf,
  sizesBuiltFrom,
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
  /** By series and start, the closed quarters that got late points since the last commit. */
  late: Map<ActiveSeries, Map<number, LateQuarter>>
  holdMaxMs: number
}

/** How many late points a closed quarter got, and whether it had no point before. */
export type LateQuarter = { points: number; isNew: boolean }

/**
 * Appends a point that is not before the last point of its series. Returns the quarter with the
 * point.
 */
export function appendPoint(
  state: AggregationState,
  series: ActiveSeries,
  point: OrderedPoint,
): Quarter {
  const { block } = series
  if (!block || point.at >= block.start + BASE_MS) enterQuarter(state, series, point)
  appendToQuarter(series.quarter!, point)
  series.last = point
  state.dirty.addBlock(series.owner, series.block!)
  if (series.isPublished) amendOpenWindows(state.dirty, series)
  return series.quarter!
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
  const name = { ...owner.name, metric }
  const window = emptyWindow(name, size, cache.windows.boundsOf(name, size, moment), before)
  cache.windows.add(window)
  timers.add(owner.name, size, window)
  return window
}

/**
 * Closes the open quarter of a series and opens the quarter that contains a point. Does the same
 * for each longer window that does not contain the point.
 */
function enterQuarter(state: AggregationState, series: ActiveSeries, { at }: Point): void {
  const { cache, dirty, timers } = state
  const { owner, metric, last, openWindows } = series
  const start = quarterStartOf(at)
  const firstState = series.isMeter ? createMeterState() : null
  const meter = series.quarter ? closeQuarter(state, series) : firstState
  for (const size of longWindowSizes) {
    const open = openWindows.get(size)
    if (open && at < open.end) continue
    if (open) closeWindow(state, series, open)
    openWindows.set(size, createWindow(state, series, size, at, last))
  }
  series.block = cache.blocks.forPoints(owner, start)
  series.block.endingSeries++
  series.quarter = emptyQuarter(start, last && { at: last.at, value: last.value }, meter)
  series.block.quarters.set(metric, series.quarter)
  series.isPublished = [...openWindows.values()].some(window => window.publishedCount > 0)
  timers.add(owner.name, BASE_SIZE, { start, end: start + BASE_MS })
  owner.endBlockStarts.set(metric, start)
  if (start < owner.lastBlockStart) dirty.addSeriesEnds(owner)
}

/** Returns the state of a meter with which the next quarter begins; null for other series. */
function closeQuarter(
  { cache, holdMaxMs }: AggregationState,
  series: ActiveSeries,
): MeterState | null {
  const quarter = series.quarter!
  const meter = copyOf(quarter.meter)
  const partial = partialAggregateOf(quarter, holdMaxMs, { meter })
  for (const size of sizesBuiltFrom(BASE_SIZE)) {
    const window = series.openWindows.get(size)!
    mergePartialInto(window, partial, holdMaxMs)
    addValuesToSketch(window.sketch, quarter)
  }
  cache.blocks.removeSeriesEnd(series.owner, series.block!)
  if (meter) beginMeterQuarter(meter)
  return meter
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
