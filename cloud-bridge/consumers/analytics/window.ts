import type { Piece, Point } from './piece.ts'
import type { SeriesName, Size } from './series.ts'
import { emptySketch, packSketch, type Sketch, unpackSketch } from './sketch.ts'

/** A window of a series as it is kept: what is in it, and the point before it. */
export type Window = {
  series: SeriesName
  size: Size
  start: number
  /** Null while it is empty, which only a window that was just made is. */
  piece: Piece | null
  before: Point | null
  /**
   * Of its values; of an hour or a day that its series has not left, those of the parts of it that
   * were left (`sketchOf` gives all).
   */
  sketch: Sketch
  /** How often it was told. */
  told: number
  /** How many points came after it had been told. */
  amended: number
  /** Its series ends behind it: what comes into it now comes late. */
  isLeft: boolean
  /**
   * It has a row: one that its series has not left yet is made of what is in it, until it is told.
   */
  isKept: boolean
}

const NUMBERS = 16
const HEAD_BYTES = NUMBERS * 8

export function emptyWindow(
  series: SeriesName,
  size: Size,
  start: number,
  before: Point | null,
): Window {
  const sketch = emptySketch()
  return {
    series,
    size,
    start,
    piece: null,
    before,
    sketch,
    told: 0,
    amended: 0,
    isLeft: false,
    isKept: false,
  }
}

/** 16 doubles and the sketch. */
export function packWindow({ piece, before, sketch, told, amended }: Window): Buffer {
  const { count, sum, min, max, firstAt, first, lastAt, last } = piece!
  const { heldMs, area, positiveMs, rise } = piece!
  const none = { at: Number.NaN, value: Number.NaN }
  const { at, value } = before ?? none
  const head = Float64Array.of(
    ...[count, sum, min, max, firstAt, first, lastAt, last],
    ...[heldMs, area, positiveMs, rise, at, value, told, amended],
  )
  return Buffer.concat([Buffer.from(head.buffer), packSketch(sketch)])
}

export function unpackWindow(
  series: SeriesName,
  size: Size,
  start: number,
  packed: Buffer,
): Window {
  const number = (at: number) => packed.readDoubleLE(at * 8)
  const piece: Piece = {
    ...{ count: number(0), sum: number(1), min: number(2), max: number(3) },
    ...{ firstAt: number(4), first: number(5), lastAt: number(6), last: number(7) },
    ...{ heldMs: number(8), area: number(9), positiveMs: number(10), rise: number(11) },
  }
  const before = Number.isNaN(number(12)) ? null : { at: number(12), value: number(13) }
  const sketch = unpackSketch(packed.subarray(HEAD_BYTES))
  const told = { told: number(14), amended: number(15) }
  return { series, size, start, piece, before, sketch, ...told, isLeft: true, isKept: true }
}
