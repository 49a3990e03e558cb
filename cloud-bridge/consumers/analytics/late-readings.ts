import {
  type AggregationState,
  amendOpenWindows,
  createWindow,
  type LateQuarter,
} from './in-order-readings.ts'
import type { ActiveSeries } from './model/active-series.ts'
import { isSameMeterState, type MeterState } from './model/meter.ts'
import type { Point } from './model/partial-aggregate.ts'
import {
  copyOf,
  emptyQuarter,
  insertPoint,
  lastPointOf,
  meterAfter,
  type OrderedPoint,
  type Quarter,
} from './model/quarter.ts'
import type { Window } from './model/window.ts'
import { mergeParts } from './model/window-parts.ts'
import {
  BASE_MS,
  BASE_SIZE,
  type LongWindowSize,
  longWindowSizes,
  quarterStartOf,
  sizesBuiltFrom,
  sourceSizeOf,
} from './model/window-sizes.ts'

/**
 * Inserts a point that is before the last point of its series, and returns the quarter with the
 * point. The block of the point must be in memory. `completeLateReadings` then updates what follows
 * from the point.
 */
export function insertLatePoint(
  { cache, dirty, late }: AggregationState,
  series: ActiveSeries,
  point: OrderedPoint,
): Quarter {
  const { owner, metric } = series
  const start = quarterStartOf(point.at)
  const isOpen = start === series.block!.start
  const block = isOpen ? series.block! : cache.blocks.forPoints(owner, start)
  const stored = block.quarters.get(metric)
  // `completeLateReadings` gives a new quarter its past.
  const quarter = stored ?? emptyQuarter(start, null, null)
  block.quarters.set(metric, quarter)
  insertPoint(quarter, point)
  dirty.addBlock(owner, block)
  if (isOpen) {
    if (series.isPublished) amendOpenWindows(dirty, series)
    return quarter
  }
  dirty.amend(series, quarter)
  const quarters = late.get(series) ?? new Map<number, LateQuarter>()
  late.set(series, quarters)
  const lateQuarter = quarters.get(start) ?? { points: 0, isNew: stored === undefined }
  quarters.set(start, lateQuarter)
  lateQuarter.points++
  return quarter
}

/**
 * Updates what follows from late points since the last commit: the past that the following quarters
 * start with, and all windows that contain a changed quarter. Rejects while the state is
 * unavailable; then the memory is inconsistent.
 */
export async function completeLateReadings(state: AggregationState): Promise<void> {
  for (const [series, late] of state.late) {
    const starts = [...late.keys()].sort((a, b) => a - b)
    const isNew = (start: number) => late.get(start)!.isNew
    await givePast(state, series, starts.filter(isNew))
    const changed = await passOn(state, series, starts)
    for (const size of longWindowSizes) await rebuildWindows(state, series, size, changed, late)
  }
  state.late.clear()
}

/** Gives new quarters the past of the quarter that follows: no point was between the two. */
async function givePast(
  { cache, timers }: AggregationState,
  series: ActiveSeries,
  starts: readonly number[],
): Promise<void> {
  const { owner } = series
  for (const start of starts.toReversed()) {
    const following = (await cache.blocks.followingQuarter(owner, series.metric, start))!
    const quarter = quarterAt(series, start)
    quarter.before = following.before
    quarter.meter = copyOf(following.meter)
    timers.add(owner.name, BASE_SIZE, { start, end: start + BASE_MS })
  }
}

/**
 * Passes the last point and the meter of changed quarters on to the quarters that follow, as far as
 * something changes. Returns the starts of all changed quarters.
 */
async function passOn(
  { cache, dirty }: AggregationState,
  series: ActiveSeries,
  starts: readonly number[],
): Promise<Set<number>> {
  const { owner, metric } = series
  const changed = new Set<number>()
  for (const start of starts) {
    changed.add(start)
    let quarter = quarterAt(series, start)
    while (quarter !== series.quarter) {
      const following = (await cache.blocks.followingQuarter(owner, metric, quarter.start))!
      const last = lastPointOf(quarter)
      const meter = meterAfter(quarter)
      if (hasPast(following, last, meter)) break
      following.before = { at: last.at, value: last.value }
      following.meter = meter
      changed.add(following.start)
      dirty.republishIfPublished(series, following)
      dirty.addBlock(owner, owner.blocks.get(following.start)!)
      // Without a meter, the last point of the following quarter says all that comes after it.
      if (!series.isMeter) break
      quarter = following
    }
  }
  return changed
}

const quarterAt = ({ owner, metric }: ActiveSeries, start: number): Quarter =>
  owner.blocks.get(start)!.quarters.get(metric)!

const hasPast = ({ before, meter }: Quarter, last: Point, expected: MeterState | null): boolean =>
  before?.at === last.at &&
  before.value === last.value &&
  (meter && expected ? isSameMeterState(meter, expected) : meter === expected)

/** Rebuilds the windows of a size that contain a changed quarter from their closed parts. */
async function rebuildWindows(
  state: AggregationState,
  series: ActiveSeries,
  size: LongWindowSize,
  changed: ReadonlySet<number>,
  late: ReadonlyMap<number, LateQuarter>,
): Promise<void> {
  const { cache, dirty, holdMaxMs } = state
  const { owner } = series
  const rebuilt = new Map<Window, number>()
  for (const start of changed) {
    await cache.loadWindowsAround(series, start)
    if (sizesBuiltFrom(BASE_SIZE).includes(size)) {
      const bounds = cache.windows.boundsOf(series, size, start)
      await cache.blocks.load(owner, bounds.start, bounds.end)
    }
    const window = findOrCreateWindow(state, series, size, start)
    rebuilt.set(window, (rebuilt.get(window) ?? 0) + (late.get(start)?.points ?? 0))
  }
  for (const [window, points] of rebuilt) {
    const parts = cache.closedPartsOf(owner, window, series.quarter!)
    Object.assign(window, mergeParts(parts, holdMaxMs))
    const source = sourceSizeOf(size)
    const openPart = source === BASE_SIZE ? series.quarter! : series.openWindows.get(source)!
    window.before = (parts[0] ?? openPart).before
    if (window.publishedCount > 0) window.amended += points
    dirty.republishIfPublished(series, window)
    dirty.addWindow(window)
  }
}

/** The window that contains a moment. If there is none yet, it is created as a closed window. */
function findOrCreateWindow(
  state: AggregationState,
  series: ActiveSeries,
  size: LongWindowSize,
  moment: number,
): Window {
  const { windows } = state.cache
  const stored = windows.at(series, size, moment)
  if (stored) return stored
  const window = createWindow(state, series, size, moment, null)
  windows.close(window)
  return window
}
