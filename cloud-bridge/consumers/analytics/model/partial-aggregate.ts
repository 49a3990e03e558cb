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
  /** The rise of a meter. A value that is lower than the one before means a restart at zero. */
  rise: number
}

/** The partial aggregate of one point. */
export function partialAggregateOfPoint({ at, value }: Point): PartialAggregate {
  const ends = { firstAt: at, first: value, lastAt: at, last: value, min: value, max: value }
  return { count: 1, sum: value, ...ends, knownMs: 0, area: 0, positiveMs: 0, rise: 0 }
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
  partial.rise += riseTo(last, value)
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
    rise: earlier.rise + riseTo(last, later.first) + later.rise,
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
  min: number
  max: number
  mean: number
  last: number
  lastAt: number
  /** Null when `knownMs` is 0. */
  timeWeightedMean: number | null
  knownMs: number
  positiveMs: number
  rise: number
}

/**
 * The statistics of a window. The value of the point before the window counts from the window's
 * start to the window's first point. The window's last value counts until the window's end. Each
 * counts for `holdMaxMs` at most after its own point. The rise from the point before the window to
 * its first point counts in this window.
 */
export function statisticsOf(
  partial: PartialAggregate,
  before: Point | null,
  { start, end }: { start: number; end: number },
  holdMaxMs: number,
): WindowStatistics {
  let { knownMs, area, positiveMs, rise } = partial
  const hold = (value: number, ms: number) => {
    if (ms <= 0) return
    knownMs += ms
    area += value * ms
    if (value > 0) positiveMs += ms
  }
  if (before) {
    hold(before.value, Math.min(partial.firstAt, before.at + holdMaxMs) - start)
    rise += riseTo(before.value, partial.first)
  }
  hold(partial.last, Math.min(end, partial.lastAt + holdMaxMs) - partial.lastAt)
  const { count, sum, min, max, last, lastAt } = partial
  return {
    ...{ count, sum, min, max, mean: sum / count, last, lastAt },
    ...{ timeWeightedMean: knownMs > 0 ? area / knownMs : null, knownMs, positiveMs, rise },
  }
}

function riseTo(before: number, value: number): number {
  return value >= before ? value - before : value
}
