import { type MeterTally, tallyNames } from './meter.ts'
import type { PartialAggregate, Point } from './partial-aggregate.ts'
import type { SeriesName } from './series.ts'
import { emptySketch, packSketch, type Sketch, unpackSketch } from './sketch.ts'
import type { LongWindowSize } from './window-sizes.ts'

/** The bounds of a window, in ms since 1970: `start` included, `end` excluded. */
export type Bounds = { start: number; end: number }

/**
 * A stored window of a series, such as an hour or a day. While the window is open (the last point
 * of its series is in it), `partial` and `sketch` cover only the closed shorter windows in it;
 * `completeLongWindow` adds the open shorter windows.
 */
export type Window = Bounds & {
  series: SeriesName
  size: LongWindowSize
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

/** The first number of a row in the present format. In the first format it is a count. */
const FORMAT_MARK = -2
const NUMBERS = 18 + tallyNames.length
const FIRST_FORMAT_NUMBERS = 16
const DOUBLE_BYTES = 8

export function emptyWindow(
  series: SeriesName,
  size: LongWindowSize,
  { start, end }: Bounds,
  before: Point | null,
): Window {
  return {
    ...{ series, size, start, end, before, partial: null, sketch: emptySketch() },
    ...{ publishedCount: 0, amended: 0, isClosed: false },
  }
}

/** Packs a window: doubles and the sketch. A window without a meter has NaN as the meter's rise. */
export function packWindow({ partial, before, sketch, publishedCount, amended }: Window): Buffer {
  const { count, sum, min, max, firstAt, first, lastAt, last } = partial ?? ZEROS
  const { knownMs, area, positiveMs, atReceipt, meter } = partial ?? ZEROS
  const { at, value } = before ?? { at: Number.NaN, value: Number.NaN }
  const head = Float64Array.of(
    ...[FORMAT_MARK, publishedCount, amended, at, value],
    ...[count, sum, min, max, firstAt, first, lastAt, last],
    ...[knownMs, area, positiveMs, atReceipt, 0],
    ...tallyNames.map(name => (meter ? meter[name] : Number.NaN)),
  )
  return Buffer.concat([Buffer.from(head.buffer), packSketch(sketch)])
}

/** Unpacks a stored window. Always marks the window as closed. */
export function unpackWindow(
  series: SeriesName,
  size: LongWindowSize,
  { start, end }: Bounds,
  packed: Buffer,
): Window {
  const number = (index: number) => packed.readDoubleLE(index * DOUBLE_BYTES)
  const partial: PartialAggregate = {
    ...{ count: number(5), sum: number(6), min: number(7), max: number(8) },
    ...{ firstAt: number(9), first: number(10), lastAt: number(11), last: number(12) },
    ...{ knownMs: number(13), area: number(14), positiveMs: number(15), atReceipt: number(16) },
    meter: Number.isNaN(number(18)) ? null : tallyOf(index => number(18 + index)),
  }
  return {
    ...{ series, size, start, end, partial: partial.count > 0 ? partial : null },
    before: Number.isNaN(number(3)) ? null : { at: number(3), value: number(4) },
    sketch: unpackSketch(packed.subarray(NUMBERS * DOUBLE_BYTES)),
    ...{ ...publicationOf(packed), isClosed: true },
  }
}

/** How often a stored window of any format was published, and its late points since. */
export function publicationOf(packed: Buffer): Pick<Window, 'publishedCount' | 'amended'> {
  const isFirstFormat = packed.readDoubleLE(0) !== FORMAT_MARK
  const index = isFirstFormat ? FIRST_FORMAT_NUMBERS - 2 : 1
  return {
    publishedCount: packed.readDoubleLE(index * DOUBLE_BYTES),
    amended: packed.readDoubleLE((index + 1) * DOUBLE_BYTES),
  }
}

const tallyOf = (number: (index: number) => number) =>
  Object.fromEntries(tallyNames.map((name, index) => [name, number(index)])) as MeterTally

const ZEROS: PartialAggregate = {
  ...{ count: 0, sum: 0, min: 0, max: 0, firstAt: 0, first: 0, lastAt: 0, last: 0 },
  ...{ knownMs: 0, area: 0, positiveMs: 0, atReceipt: 0, meter: null },
}
