import type { Series } from './active-series.ts'
import { addValues, pieceIn, type Quarter } from './chunk.ts'
import { join, type Piece, type Point } from './partial-aggregate.ts'
import type { SeriesName, Size } from './series.ts'
import { emptySketch, mergeInto, type Sketch } from './sketch.ts'
import type { Window } from './window.ts'

/** All that is in a window of a series, and the point before it. */
export type Whole = {
  series: SeriesName
  size: Size
  start: number
  piece: Piece
  before: Point | null
  sketch: Sketch
  amended: number
}

export function wholeQuarter(series: SeriesName, quarter: Quarter, holdMaxMs: number): Whole {
  const { start, before, amended } = quarter
  const sketch = emptySketch()
  addValues(sketch, quarter)
  const piece = pieceIn(quarter, holdMaxMs)
  return { series, size: '15m', start, piece, before, sketch, amended }
}

/** An hour or a day; with the parts in which its series ends, if it does. */
export function wholeWindow(window: Window, series: Series | null, holdMaxMs: number): Whole {
  const { size, start, before, amended } = window
  const sketch = emptySketch()
  const parts = series ? openParts(window, series) : [window]
  for (const part of parts) {
    if ('at' in part) addValues(sketch, part)
    else mergeInto(sketch, part.sketch)
  }
  const pieces = parts.map(part => ('at' in part ? pieceIn(part, holdMaxMs) : part.piece))
  const piece = joined(pieces, holdMaxMs)!
  return { series: window.series, size, start, piece, before, sketch, amended }
}

/** An open window holds what was left in it; the rest is in the shorter ones. */
function openParts(window: Window, { hour, day, quarter }: Series): (Window | Quarter)[] {
  if (window === day) return [day, hour!, quarter!]
  return window === hour ? [hour, quarter!] : [window]
}

/** What stretches come to that follow each other; null of none. */
export function joined(pieces: Iterable<Piece | null>, holdMaxMs: number): Piece | null {
  let all: Piece | null = null
  for (const piece of pieces) {
    if (piece) all = all ? join(all, piece, holdMaxMs) : piece
  }
  return all
}
