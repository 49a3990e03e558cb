import { type ActiveSeries, isOpen } from './active-series.ts'
import type { PartialAggregate, Point } from './partial-aggregate.ts'
import type { Quarter } from './quarter.ts'
import type { SeriesName } from './series.ts'
import { emptySketch, type Sketch } from './sketch.ts'
import type { Bounds, Window } from './window.ts'
import { mergeParts, type WindowPart } from './window-parts.ts'
import { BASE_MS, BASE_SIZE, sourceSizeOf, type WindowSize } from './window-sizes.ts'

/**
 * The aggregate of all points in a window of a series, and the last point before the window. A
 * window without points (`partial` is null) exists when the last point before it still counts.
 */
export type CompleteWindow = Bounds & {
  series: SeriesName
  size: WindowSize
  partial: PartialAggregate | null
  before: Point | null
  sketch: Sketch
  amended: number
}

export function completeQuarter(
  series: SeriesName,
  quarter: Quarter,
  holdMaxMs: number,
): CompleteWindow {
  const { start, before, amended } = quarter
  const { partial, sketch } = mergeParts([quarter], holdMaxMs)
  const bounds = { start, end: start + BASE_MS }
  return { series, size: BASE_SIZE, ...bounds, partial, before, sketch, amended }
}

/**
 * Completes a window. When the window may be open, `series` is its series in memory, whose open
 * shorter windows are merged in. For a closed window `series` is null.
 */
export function completeLongWindow(
  window: Window,
  series: ActiveSeries | null,
  holdMaxMs: number,
): CompleteWindow {
  const { size, start, end, before, amended } = window
  const parts = series && isOpen(series, window) ? openParts(window, series) : [window]
  const { partial, sketch } = mergeParts(parts, holdMaxMs)
  return { series: window.series, size, start, end, partial, before, sketch, amended }
}

/** A window without points, in which the value of the point before still counts. */
export const windowWithoutPoints = (
  series: SeriesName,
  size: WindowSize,
  { start, end }: Bounds,
  before: Point,
): CompleteWindow => ({
  ...{ series, size, start, end, partial: null, before, sketch: emptySketch(), amended: 0 },
})

/** The last point of a window, or the point before the window when it has none. */
export const lastPointIn = ({ partial, before }: CompleteWindow): Point | null =>
  partial ? { at: partial.lastAt, value: partial.last } : before

/**
 * The parts of an open window: the window, the open window of each shorter size from which it is
 * built, and the open quarter.
 */
function openParts(window: Window, { openWindows, quarter }: ActiveSeries): WindowPart[] {
  const parts = [window]
  let size = sourceSizeOf(window.size)
  while (size !== BASE_SIZE) {
    parts.push(openWindows.get(size)!)
    size = sourceSizeOf(size)
  }
  return [...parts, quarter!]
}
