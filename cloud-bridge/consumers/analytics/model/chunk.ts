import {
  appendValue,
  type PartialAggregate,
  type Point,
  partialAggregateOfPoint,
} from './partial-aggregate.ts'
import type { Sketch } from './sketch.ts'

/** The points of a series in a quarter of an hour. */
export type Quarter = {
  start: number
  /** The point before the quarter. */
  before: Point | null
  /** When they were, in order of time and, at one moment, of value. */
  at: number[]
  values: number[]
  /** How often it was told. */
  told: number
  /** How many points came after it had been told. */
  amended: number
}

export function emptyQuarter(start: number, before: Point | null): Quarter {
  return { start, before, at: [], values: [], told: 0, amended: 0 }
}

/** Adds a point where it belongs: whatever came before, the same points give the same quarter. */
export function insertPoint({ at, values }: Quarter, point: Point): void {
  let place = at.length
  while (place > 0 && isBefore(point, { at: at[place - 1]!, value: values[place - 1]! })) place--
  at.splice(place, 0, point.at)
  values.splice(place, 0, point.value)
}

export const firstPointOf = ({ at, values }: Quarter): Point => ({ at: at[0]!, value: values[0]! })
export const lastPointOf = ({ at, values }: Quarter): Point => ({
  at: at.at(-1)!,
  value: values.at(-1)!,
})

/** What its points from one place to before another come to; all of them when none is given. */
export function partialAggregateOf(
  { at, values }: Quarter,
  holdMaxMs: number,
  { from = 0, to = at.length } = {},
): PartialAggregate {
  const piece = partialAggregateOfPoint({ at: at[from]!, value: values[from]! })
  for (let place = from + 1; place < to; place++) {
    appendValue(piece, at[place]!, values[place]!, holdMaxMs)
  }
  return piece
}

/** Adds its values to a sketch. */
export function addValuesToSketch(sketch: Sketch, { values }: Quarter): void {
  for (const value of values) sketch.accept(value)
}

/** Whether a point stands before another in their series. */
export function isBefore(one: Point, other: Point): boolean {
  return one.at < other.at || (one.at === other.at && one.value < other.value)
}
