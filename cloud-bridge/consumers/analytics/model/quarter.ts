import { beginMeterQuarter, createMeterTally, judgeReading, type MeterState } from './meter.ts'
import {
  appendValue,
  type PartialAggregate,
  type Point,
  partialAggregateOfPoint,
} from './partial-aggregate.ts'
import type { Sketch } from './sketch.ts'

/**
 * A point with the sequence of its event. Sequences rise through all runs of a gateway's store, so
 * of two points with the same time the one with the higher sequence was received later.
 */
export type OrderedPoint = Point & { sequence: number }

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
   * sequence, and points of several gateways with the same sequence by value.
   */
  times: number[]
  values: number[]
  sequences: number[]
  /** For a meter, what is remembered of the readings before the quarter; null for other series. */
  meter: MeterState | null
  /** How often the quarter was published. */
  publishedCount: number
  /** How many points arrived after the quarter was published first. */
  amended: number
  /** How many points count at the time of receipt, because the device's time was implausible. */
  atReceipt: number
}

export function emptyQuarter(
  start: number,
  before: Point | null,
  meter: MeterState | null,
): Quarter {
  return {
    ...{ start, before, times: [], values: [], sequences: [], meter },
    ...{ publishedCount: 0, amended: 0, atReceipt: 0 },
  }
}

export function appendToQuarter(
  { times, values, sequences }: Quarter,
  { at, value, sequence }: OrderedPoint,
): void {
  times.push(at)
  values.push(value)
  sequences.push(sequence)
}

/** Inserts a point at its place. The order of the inserts does not change the quarter. */
export function insertPoint(quarter: Quarter, point: OrderedPoint): void {
  const { times, values, sequences } = quarter
  let index = times.length
  while (index > 0 && isPointBefore(point, nthPoint(quarter, index - 1))) index--
  times.splice(index, 0, point.at)
  values.splice(index, 0, point.value)
  sequences.splice(index, 0, point.sequence)
}

const nthPoint = ({ times, values, sequences }: Quarter, index: number): OrderedPoint => ({
  at: times[index]!,
  value: values[index]!,
  sequence: sequences[index]!,
})
export const firstPointOf = (quarter: Quarter) => nthPoint(quarter, 0)
export const lastPointOf = (quarter: Quarter) => nthPoint(quarter, quarter.times.length - 1)

/**
 * The partial aggregate of the points with index `from` to before `to`; of all by default. `meter`
 * is the state of the meter before these points, and is changed to the state after them.
 */
export function partialAggregateOf(
  quarter: Quarter,
  holdMaxMs: number,
  { from = 0, to = quarter.times.length, meter = copyOf(quarter.meter) } = {},
): PartialAggregate {
  const { times, values } = quarter
  const partial = partialAggregateOfPoint(times[from]!, values[from]!)
  for (let index = from + 1; index < to; index++) {
    appendValue(partial, times[index]!, values[index]!, holdMaxMs)
  }
  // Which points count at the time of receipt is known for the quarter as a whole only.
  if (from === 0 && to === times.length) partial.atReceipt = quarter.atReceipt
  if (!meter) return partial
  partial.meter = createMeterTally()
  for (let index = from; index < to; index++) judgeReading(meter, values[index]!, partial.meter)
  return partial
}

/** The state of a meter with which the next quarter begins; null for other series. */
export function meterAfter(quarter: Quarter): MeterState | null {
  const meter = copyOf(quarter.meter)
  if (!meter) return null
  const tally = createMeterTally()
  for (const value of quarter.values) judgeReading(meter, value, tally)
  beginMeterQuarter(meter)
  return meter
}

export const copyOf = (meter: MeterState | null): MeterState | null => meter && { ...meter }

export function addValuesToSketch(sketch: Sketch, { values }: Quarter): void {
  for (const value of values) sketch.accept(value)
}

/** Whether a point precedes another of its series: by time, then sequence, then value. */
export function isPointBefore(point: OrderedPoint, other: OrderedPoint): boolean {
  if (point.at !== other.at) return point.at < other.at
  if (point.sequence !== other.sequence) return point.sequence < other.sequence
  return point.value < other.value
}

/** Whether a point is not before the last point of its series. */
export const isInOrder = (last: OrderedPoint | null, point: OrderedPoint): boolean =>
  !last || !isPointBefore(point, last)
