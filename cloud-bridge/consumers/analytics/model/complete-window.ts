import type { ActiveSeries } from './active-series.ts'
import { addValuesToSketch, partialAggregateOf, type Quarter } from './chunk.ts'
import { mergePartialAggregates, type PartialAggregate, type Point } from './partial-aggregate.ts'
import type { SeriesName, WindowSize } from './series.ts'
import { emptySketch, mergeInto, type Sketch } from './sketch.ts'
import type { Window } from './window.ts'

/** All that is in a window of a series, and the point before it. */
export type CompleteWindow = {
  series: SeriesName
  size: WindowSize
  start: number
  piece: PartialAggregate
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
  const sketch = emptySketch()
  addValuesToSketch(sketch, quarter)
  const piece = partialAggregateOf(quarter, holdMaxMs)
  return { series, size: '15m', start, piece, before, sketch, amended }
}

/** An hour or a day; with the parts in which its series ends, if it does. */
export function completeLongWindow(
  window: Window,
  series: ActiveSeries | null,
  holdMaxMs: number,
): CompleteWindow {
  const { size, start, before, amended } = window
  const sketch = emptySketch()
  const parts = series ? openParts(window, series) : [window]
  for (const part of parts) {
    if ('at' in part) addValuesToSketch(sketch, part)
    else mergeInto(sketch, part.sketch)
  }
  const pieces = parts.map(part =>
    'at' in part ? partialAggregateOf(part, holdMaxMs) : part.piece,
  )
  const piece = mergeAll(pieces, holdMaxMs)!
  return { series: window.series, size, start, piece, before, sketch, amended }
}

/** An open window holds what was left in it; the rest is in the shorter ones. */
function openParts(window: Window, { hour, day, quarter }: ActiveSeries): (Window | Quarter)[] {
  if (window === day) return [day, hour!, quarter!]
  return window === hour ? [hour, quarter!] : [window]
}

/** What stretches come to that follow each other; null of none. */
export function mergeAll(
  pieces: Iterable<PartialAggregate | null>,
  holdMaxMs: number,
): PartialAggregate | null {
  let all: PartialAggregate | null = null
  for (const piece of pieces) {
    if (piece) all = all ? mergePartialAggregates(all, piece, holdMaxMs) : piece
  }
  return all
}
