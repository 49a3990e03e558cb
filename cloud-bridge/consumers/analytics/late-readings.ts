import { type AggregationState, amendOpenWindows, createWindow } from './in-order-readings.ts'
import type { StateCache } from './memory/state-cache.ts'
import type { ActiveSeries } from './model/active-series.ts'
import type { Point } from './model/partial-aggregate.ts'
import {
  emptyQuarter,
  firstPointOf,
  insertPoint,
  isPointBefore,
  lastPointOf,
  type Quarter,
} from './model/quarter.ts'
import type { Window } from './model/window.ts'
import { mergePartials } from './model/window-parts.ts'
import {
  BASE_MS,
  BASE_SIZE,
  type LongWindowSize,
  longWindowSizes,
  sizesBuiltFrom,
  sourceSizeOf,
  type WindowSize,
  windowLengthMs,
  windowStartOf,
} from './model/window-sizes.ts'

/** Loads every row that `insertLatePoint` needs to insert a point at `at` (ms since 1970). */
export async function loadForInsert(
  cache: StateCache,
  series: ActiveSeries,
  at: number,
): Promise<void> {
  const { owner, metric } = series
  for (const size of sizesBuiltFrom(BASE_SIZE)) {
    const start = windowStartOf(size, at)
    await cache.blocks.load(owner, start, start + windowLengthMs(size))
  }
  const nextQuarterStart = windowStartOf(BASE_SIZE, at) + BASE_MS
  const following = await cache.blocks.nextQuarter(owner, metric, nextQuarterStart)
  await cache.loadWindowsAround(series, at)
  if (following) await cache.loadWindowsAround(series, firstPointOf(following).at)
}

/**
 * Inserts a point that is before the last point of its series, and rebuilds the windows that the
 * point changes. The caller must have called `loadForInsert` for the point.
 */
export function insertLatePoint(state: AggregationState, series: ActiveSeries, point: Point): void {
  const { cache, dirty, timers } = state
  const { owner, metric } = series
  const start = windowStartOf(BASE_SIZE, point.at)
  if (start === series.block!.start) {
    insertPoint(series.quarter!, point)
    dirty.addBlock(owner, series.block!)
    if (series.isPublished) amendOpenWindows(dirty, series)
    return
  }
  const following = followingQuarter(series, start)
  const block = cache.blocks.forPoints(owner, start)
  let quarter = block.quarters.get(metric)
  if (!quarter) {
    // No point is between the new quarter and the following one, so both have the same `before`.
    quarter = emptyQuarter(start, following.before)
    block.quarters.set(metric, quarter)
    timers.add(owner.name, BASE_SIZE, start)
  }
  insertPoint(quarter, point)
  dirty.amend(series, quarter)
  dirty.addBlock(owner, block)
  const isLast = quarter.times.at(-1) === point.at && quarter.values.at(-1) === point.value
  if (isLast) {
    following.before = lastPointOf(quarter)
    dirty.republishIfPublished(series, following)
    dirty.addBlock(owner, owner.blocks.get(following.start)!)
  }
  for (const window of rebuildWindows(state, series, point, quarter)) {
    dirty.amend(series, window)
    dirty.addWindow(window)
    if (isLast) updateBeforeOfNext(state, series, window, firstPointOf(following), point)
  }
}

/** The first quarter of a series that starts after `start`; `loadForInsert` has loaded it. */
function followingQuarter({ owner, metric }: ActiveSeries, start: number): Quarter {
  let following: Quarter | null = null
  for (const block of owner.blocks.values()) {
    if (block.start <= start || (following && block.start > following.start)) continue
    following = block.quarters.get(metric) ?? following
  }
  return following!
}

/**
 * Rebuilds the windows of all sizes that contain a point of a closed quarter, and returns the
 * windows. A window merges its closed parts only, so a window whose part around the point is open
 * stays unchanged.
 */
function rebuildWindows(
  state: AggregationState,
  series: ActiveSeries,
  point: Point,
  quarter: Quarter,
): Window[] {
  const { cache, holdMaxMs } = state
  const closedSizes = new Set<WindowSize>([BASE_SIZE])
  return longWindowSizes.map(size => {
    const window = findOrCreateWindow(state, series, size, point, quarter)
    if (closedSizes.has(sourceSizeOf(size))) {
      window.sketch.accept(point.value)
      const parts = cache.closedPartsOf(series.owner, window, series.quarter!)
      window.partial = mergePartials(parts, holdMaxMs)
    }
    if (window.isClosed) closedSizes.add(size)
    return window
  })
}

/**
 * The window that contains a point. A window that does not exist yet is created as a closed window.
 */
function findOrCreateWindow(
  state: AggregationState,
  series: ActiveSeries,
  size: LongWindowSize,
  { at }: Point,
  { before }: Quarter,
): Window {
  const { windows } = state.cache
  const stored = windows.at(series, size, at)
  if (stored) return stored
  const window = createWindow(state, series, size, at, before)
  windows.close(window)
  return window
}

/**
 * Sets `before` of the next window with points to the inserted point, if that point is now the last
 * one before the window.
 */
function updateBeforeOfNext(
  { cache, dirty }: AggregationState,
  series: ActiveSeries,
  { size, start }: Window,
  following: Point,
  point: Point,
): void {
  if (windowStartOf(size, following.at) === start) return
  const next = cache.windows.at(series, size, following.at)
  // A window size that was added to the table later has no windows for the readings before.
  if (!next || (next.before && !isPointBefore(next.before, point))) return
  next.before = point
  dirty.republishIfPublished(series, next)
  dirty.addWindow(next)
}
