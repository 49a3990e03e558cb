import type { Point } from './piece.ts'

const MINUTE_MS = 60_000

/**
 * The points of one minute of a series, in order of time and, at one moment, of value. Arrays of
 * numbers, because an object a point is several times as large.
 */
export type Minute = {
  start: number
  /** Ms from its start. */
  offsets: number[]
  values: number[]
}

export const emptyMinute = (start: number): Minute => ({ start, offsets: [], values: [] })

export function* pointsOf({ start, offsets, values }: Minute): Generator<Point> {
  for (let index = 0; index < offsets.length; index++) {
    yield { at: start + offsets[index]!, value: values[index]! }
  }
}

export function lastOf({ start, offsets, values }: Minute): Point {
  return { at: start + offsets.at(-1)!, value: values.at(-1)! }
}

/** Adds a point where it belongs; whatever came before, the same points give the same minute. */
export function insert({ start, offsets, values }: Minute, { at, value }: Point): void {
  const offset = at - start
  let index = offsets.length
  for (; index > 0; index--) {
    const before = offsets[index - 1]!
    if (before < offset || (before === offset && values[index - 1]! <= value)) break
  }
  offsets.splice(index, 0, offset)
  values.splice(index, 0, value)
}

/** Whether a point stands before another in their series. */
export function isBefore(one: Point, other: Point): boolean {
  return one.at < other.at || (one.at === other.at && one.value < other.value)
}

export const minuteOf = (at: number) => Math.floor(at / MINUTE_MS) * MINUTE_MS
