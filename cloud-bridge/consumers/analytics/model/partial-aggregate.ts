import { addTallies, type MeterTally } from './meter.ts'

/** A value of a series, and its time in ms since 1970. */
export type Point = { at: number; value: number }

/**
 * The aggregate of consecutive points of a series. Consecutive partial aggregates merge into the
 * partial aggregate of all their points. Merging is associative (a monoid), so a window is the
 * merge of the shorter windows in it.
 */
export type PartialAggregate = {
  count: number
  sum: number
  min: number
  max: number
  firstAt: number
  first: number
  lastAt: number
  last: number
  /**
   * Ms for which a value is known: a value counts until the next value, for `holdMaxMs` at most.
   */
  knownMs: number
  /** The integral of the value over `knownMs`; divided by `knownMs`, the time-weighted mean. */
  area: number
  /** Ms of `knownMs` with a value above zero: how long a zone was occupied. */
  positiveMs: number
  /** How many points count at the time of receipt, because the device's time was implausible. */
  atReceipt: number
  /** What the points of a meter decided; null for other series. */
  meter: MeterTally | null
}

/** The partial aggregate of one point. */
export function partialAggregateOfPoint(at: number, value: number): PartialAggregate {
  const ends = { firstAt: at, first: value, lastAt: at, last: value, min: value, max: value }
  const times = { knownMs: 0, area: 0, positiveMs: 0 }
  return { count: 1, sum: value, ...ends, ...times, atReceipt: 0, meter: null }
}

/** Appends a point to a partial aggregate in place; `at` is not before the last point. */
export function appendValue(
  partial: PartialAggregate,
  at: number,
  value: number,
  holdMaxMs: number,
): void {
  const { last } = partial
  const holdMs = Math.min(at - partial.lastAt, holdMaxMs)
  partial.knownMs += holdMs
  partial.area += last * holdMs
  if (last > 0) partial.positiveMs += holdMs
  partial.count++
  partial.sum += value
  if (value < partial.min) partial.min = value
  if (value > partial.max) partial.max = value
  partial.lastAt = at
  partial.last = value
}

/** Merges two partial aggregates; `later` starts where `earlier` ends, or after that. */
export function mergePartialAggregates(
  earlier: PartialAggregate,
  later: PartialAggregate,
  holdMaxMs: number,
): PartialAggregate {
  const { last } = earlier
  const holdMs = Math.min(later.firstAt - earlier.lastAt, holdMaxMs)
  return {
    count: earlier.count + later.count,
    sum: earlier.sum + later.sum,
    min: Math.min(earlier.min, later.min),
    max: Math.max(earlier.max, later.max),
    firstAt: earlier.firstAt,
    first: earlier.first,
    lastAt: later.lastAt,
    last: later.last,
    knownMs: earlier.knownMs + holdMs + later.knownMs,
    area: earlier.area + last * holdMs + later.area,
    positiveMs: earlier.positiveMs + (last > 0 ? holdMs : 0) + later.positiveMs,
    atReceipt: earlier.atReceipt + later.atReceipt,
    meter: earlier.meter && later.meter && addTallies(earlier.meter, later.meter),
  }
}

/** Merges consecutive partial aggregates, given in order of time; null when there are none. */
export function mergeAll(
  partials: Iterable<PartialAggregate | null>,
  holdMaxMs: number,
): PartialAggregate | null {
  let merged: PartialAggregate | null = null
  for (const partial of partials) {
    if (partial) merged = merged ? mergePartialAggregates(merged, partial, holdMaxMs) : partial
  }
  return merged
}

/** The statistics of a window, including the times before its first and after its last point. */
export type WindowStatistics = {
  count: number
  sum: number
  /** The values of the points; null without points. */
  min: number | null
  max: number | null
  mean: number | null
  last: number | null
  lastAt: number | null
  /** Null when `knownMs` is 0. */
  timeWeightedMean: number | null
  knownMs: number
  positiveMs: number
  atReceipt: number
  meter: MeterTally | null
}

/**
 * The statistics of a window. The value of the point before the window counts from the window's
 * start to the window's first point, or to its end if `partial` is null: the window has no point.
 * The window's last value counts until the window's end. Each counts for `holdMaxMs` at most after
 * its own point. So the times of consecutive windows add up to those of the longer window.
 */
export function statisticsOf(
  partial: PartialAggregate | null,
  before: Point | null,
  { start, end }: { start: number; end: number },
  holdMaxMs: number,
): WindowStatistics {
  let { knownMs, area, positiveMs } = partial ?? NO_TIMES
  const hold = (value: number, ms: number) => {
    if (ms <= 0) return
    knownMs += ms
    area += value * ms
    if (value > 0) positiveMs += ms
  }
  const heldUntil = partial ? partial.firstAt : end
  if (before) hold(before.value, Math.min(heldUntil, before.at + holdMaxMs) - start)
  if (partial) hold(partial.last, Math.min(end, partial.lastAt + holdMaxMs) - partial.lastAt)
  const times = { timeWeightedMean: knownMs > 0 ? area / knownMs : null, knownMs, positiveMs }
  if (!partial) return { ...NO_POINTS, ...times }
  const { count, sum, min, max, last, lastAt, atReceipt, meter } = partial
  return { count, sum, min, max, mean: sum / count, last, lastAt, ...times, atReceipt, meter }
}

const NO_TIMES = { knownMs: 0, area: 0, positiveMs: 0 }
const NO_POINTS = {
  ...{ count: 0, sum: 0, min: null, max: null, mean: null, last: null, lastAt: null },
  ...{ atReceipt: 0, meter: null },
}
