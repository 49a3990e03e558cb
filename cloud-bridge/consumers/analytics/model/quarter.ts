import {
  appendValue,
  type PartialAggregate,
  type Point,
  partialAggregateOfPoint,
} from './partial-aggregate.ts'
import type { Sketch } from './sketch.ts'

/** The points of a series in a quarter of an hour, which starts at `start` (ms since 1970). */
export type Quarter = {
  start: number
  /**
   * The last point (time and value) of the series before the quarter; it gives the value at the
   * quarter's start. Null when there is none.
   */
  before: Point | null
  /**
   * The times of the points, in ms since 1970, ascending. Points with the same time ascend by
   * value.
   */
  times: number[]
  values: number[]
  /** How often the quarter was published. */
  publishedCount: number
  /** How many points arrived after the quarter was published first. */
  amended: number
}

export function emptyQuarter(start: number, before: Point | null): Quarter {
  return { start, before, times: [], values: [], publishedCount: 0, amended: 0 }
}

/** Inserts a point by its time and value. The order of the inserts does not change the quarter. */
export function insertPoint({ times, values }: Quarter, point: Point): void {
  let index = times.length
  while (index > 0 && isPointBefore(point, { at: times[index - 1]!, value: values[index - 1]! })) {
    index--
  }
  times.splice(index, 0, point.at)
  values.splice(index, 0, point.value)
}

export const firstPointOf = ({ times, values }: Quarter): Point => ({
  at: times[0]!,
  value: values[0]!,
})
export const lastPointOf = ({ times, values }: Quarter): Point => ({
  at: times.at(-1)!,
  value: values.at(-1)!,
})

/** The partial aggregate of the points with index `from` to before `to`; of all by default. */
export function partialAggregateOf(
  { times, values }: Quarter,
  holdMaxMs: number,
  { from = 0, to = times.length } = {},
): PartialAggregate {
  const partial = partialAggregateOfPoint({ at: times[from]!, value: values[from]! })
  for (let index = from + 1; index < to; index++) {
    appendValue(partial, times[index]!, values[index]!, holdMaxMs)
  }
  return partial
}

export function addValuesToSketch(sketch: Sketch, { values }: Quarter): void {
  for (const value of values) sketch.accept(value)
}

/** Whether a point precedes another of its series: by time, then by value. */
export function isPointBefore(point: Point, other: Point): boolean {
  return point.at < other.at || (point.at === other.at && point.value < other.value)
}
