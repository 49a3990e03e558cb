import type { PartialAggregate, Point } from './partial-aggregate.ts'
import type { SeriesName } from './series.ts'
import { emptySketch, packSketch, type Sketch, unpackSketch } from './sketch.ts'
import type { LongWindowSize } from './window-sizes.ts'

/**
 * A stored window of a series, such as an hour or a day. While the window is open (the last point
 * of its series is in it), `partial` and `sketch` cover only the closed shorter windows in it;
 * `completeLongWindow` adds the open shorter windows.
 */
export type Window = {
  series: SeriesName
  size: LongWindowSize
  start: number
  /** Null while no shorter window in this window is closed. */
  partial: PartialAggregate | null
  /**
   * The last point (time and value) of the series before the window; it gives the value at the
   * window's start. Null when there is none.
   */
  before: Point | null
  sketch: Sketch
  /** How often the window was published. */
  publishedCount: number
  /** How many points arrived after the window was published first. */
  amended: number
  /**
   * Whether the last point of the series is after the window. Further points in the window are
   * late.
   */
  isClosed: boolean
}

const NUMBERS = 16
const HEAD_BYTES = NUMBERS * 8

export function emptyWindow(
  series: SeriesName,
  size: LongWindowSize,
  start: number,
  before: Point | null,
): Window {
  return {
    ...{ series, size, start, before, partial: null, sketch: emptySketch() },
    ...{ publishedCount: 0, amended: 0, isClosed: false },
  }
}

/** Packs a window: 16 doubles and the sketch. */
export function packWindow({ partial, before, sketch, publishedCount, amended }: Window): Buffer {
  const { count, sum, min, max, firstAt, first, lastAt, last } = partial ?? ZEROS
  const { knownMs, area, positiveMs, rise } = partial ?? ZEROS
  const { at, value } = before ?? { at: Number.NaN, value: Number.NaN }
  const head = Float64Array.of(
    ...[count, sum, min, max, firstAt, first, lastAt, last],
    ...[knownMs, area, positiveMs, rise, at, value, publishedCount, amended],
  )
  return Buffer.concat([Buffer.from(head.buffer), packSketch(sketch)])
}

/** Unpacks a stored window. Always marks the window as closed. */
export function unpackWindow(
  series: SeriesName,
  size: LongWindowSize,
  start: number,
  packed: Buffer,
): Window {
  const number = (index: number) => packed.readDoubleLE(index * 8)
  const partial: PartialAggregate = {
    ...{ count: number(0), sum: number(1), min: number(2), max: number(3) },
    ...{ firstAt: number(4), first: number(5), lastAt: number(6), last: number(7) },
    ...{ knownMs: number(8), area: number(9), positiveMs: number(10), rise: number(11) },
  }
  return {
    ...{ series, size, start, partial: partial.count > 0 ? partial : null },
    before: Number.isNaN(number(12)) ? null : { at: number(12), value: number(13) },
    sketch: unpackSketch(packed.subarray(HEAD_BYTES)),
    ...{ publishedCount: number(14), amended: number(15), isClosed: true },
  }
}

const ZEROS: PartialAggregate = {
  ...{ count: 0, sum: 0, min: 0, max: 0, firstAt: 0, first: 0, lastAt: 0, last: 0 },
  ...{ knownMs: 0, area: 0, positiveMs: 0, rise: 0 },
}
