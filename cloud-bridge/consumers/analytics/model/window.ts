import type { PartialAggregate, Point } from './partial-aggregate.ts'
import type { LongWindowSize, SeriesName } from './series.ts'
import { emptySketch, packSketch, type Sketch, unpackSketch } from './sketch.ts'

/**
 * An hour or a day of a series, and the point before it. While its series ends in it, piece and
 * sketch are those of the parts of it that the series has left (`wholeOf` gives all).
 */
export type Window = {
  series: SeriesName
  size: LongWindowSize
  start: number
  /** Null while no part was left. */
  piece: PartialAggregate | null
  before: Point | null
  sketch: Sketch
  /** How often it was told. */
  told: number
  /** How many points came after it had been told. */
  amended: number
  /** Its series ends behind it: what comes into it now comes late. */
  isLeft: boolean
}

const NUMBERS = 16
const HEAD_BYTES = NUMBERS * 8

export function emptyWindow(
  series: SeriesName,
  size: LongWindowSize,
  start: number,
  before: Point | null,
): Window {
  const sketch = emptySketch()
  return { series, size, start, piece: null, before, sketch, told: 0, amended: 0, isLeft: false }
}

/** 16 doubles and the sketch. */
export function packWindow({ piece, before, sketch, told, amended }: Window): Buffer {
  const { count, sum, min, max, firstAt, first, lastAt, last } = piece ?? NOTHING
  const { heldMs, area, positiveMs, rise } = piece ?? NOTHING
  const { at, value } = before ?? { at: Number.NaN, value: Number.NaN }
  const head = Float64Array.of(
    ...[count, sum, min, max, firstAt, first, lastAt, last],
    ...[heldMs, area, positiveMs, rise, at, value, told, amended],
  )
  return Buffer.concat([Buffer.from(head.buffer), packSketch(sketch)])
}

export function unpackWindow(
  series: SeriesName,
  size: LongWindowSize,
  start: number,
  packed: Buffer,
): Window {
  const number = (at: number) => packed.readDoubleLE(at * 8)
  const piece: PartialAggregate = {
    ...{ count: number(0), sum: number(1), min: number(2), max: number(3) },
    ...{ firstAt: number(4), first: number(5), lastAt: number(6), last: number(7) },
    ...{ heldMs: number(8), area: number(9), positiveMs: number(10), rise: number(11) },
  }
  const before = Number.isNaN(number(12)) ? null : { at: number(12), value: number(13) }
  const sketch = unpackSketch(packed.subarray(HEAD_BYTES))
  const counts = { told: number(14), amended: number(15) }
  const filled = piece.count > 0 ? piece : null
  return { series, size, start, piece: filled, before, sketch, ...counts, isLeft: true }
}

const NOTHING: PartialAggregate = {
  ...{ count: 0, sum: 0, min: 0, max: 0, firstAt: 0, first: 0, lastAt: 0, last: 0 },
  ...{ heldMs: 0, area: 0, positiveMs: 0, rise: 0 },
}
