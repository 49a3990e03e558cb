/** A value of a series at a moment, in ms since 1970. */
export type Point = { at: number; value: number }

/**
 * What a stretch of a series comes to. Stretches that follow each other in time join to a longer
 * one, in any grouping (a monoid), so a window is the sum of the smaller ones in it.
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
  /** Ms for which a value is known: each holds until the next one, `holdMaxMs` at most. */
  heldMs: number
  /** Value times ms over that time: divided by it, the mean over time. */
  area: number
  /** Ms of it with a value above zero: how long somebody was there. */
  positiveMs: number
  /** What a meter went up by; one that went down began anew at zero. */
  rise: number
}

/** The stretch of one point. */
export function partialAggregateOfPoint({ at, value }: Point): PartialAggregate {
  const ends = { firstAt: at, first: value, lastAt: at, last: value, min: value, max: value }
  return { count: 1, sum: value, ...ends, heldMs: 0, area: 0, positiveMs: 0, rise: 0 }
}

/** Appends a point that is not before the last one; changes the piece. */
export function appendValue(
  piece: PartialAggregate,
  at: number,
  value: number,
  holdMaxMs: number,
): void {
  const { last } = piece
  const held = Math.min(at - piece.lastAt, holdMaxMs)
  piece.heldMs += held
  piece.area += last * held
  if (last > 0) piece.positiveMs += held
  piece.rise += riseTo(last, value)
  piece.count++
  piece.sum += value
  if (value < piece.min) piece.min = value
  if (value > piece.max) piece.max = value
  piece.lastAt = at
  piece.last = value
}

/** Two stretches as one; `later` begins where `earlier` ends or behind it. */
export function mergePartialAggregates(
  earlier: PartialAggregate,
  later: PartialAggregate,
  holdMaxMs: number,
): PartialAggregate {
  const { last } = earlier
  const held = Math.min(later.firstAt - earlier.lastAt, holdMaxMs)
  return {
    count: earlier.count + later.count,
    sum: earlier.sum + later.sum,
    min: Math.min(earlier.min, later.min),
    max: Math.max(earlier.max, later.max),
    firstAt: earlier.firstAt,
    first: earlier.first,
    lastAt: later.lastAt,
    last: later.last,
    heldMs: earlier.heldMs + held + later.heldMs,
    area: earlier.area + last * held + later.area,
    positiveMs: earlier.positiveMs + (last > 0 ? held : 0) + later.positiveMs,
    rise: earlier.rise + riseTo(last, later.first) + later.rise,
  }
}

/** What a window comes to by itself, and how it is entered and left. */
export type WindowStatistics = {
  count: number
  sum: number
  min: number
  max: number
  mean: number
  last: number
  lastAt: number
  /** Null where no value was known for any time. */
  timeWeightedMean: number | null
  heldMs: number
  positiveMs: number
  rise: number
}

/**
 * The results of a window: the value before it holds from its start, its last one until its end,
 * each `holdMaxMs` at most. What a meter rose since the value before counts here.
 */
export function statisticsOf(
  piece: PartialAggregate,
  before: Point | null,
  { start, end }: { start: number; end: number },
  holdMaxMs: number,
): WindowStatistics {
  let { heldMs, area, positiveMs, rise } = piece
  const hold = (value: number, ms: number) => {
    if (ms <= 0) return
    heldMs += ms
    area += value * ms
    if (value > 0) positiveMs += ms
  }
  if (before) {
    hold(before.value, Math.min(piece.firstAt, before.at + holdMaxMs) - start)
    rise += riseTo(before.value, piece.first)
  }
  hold(piece.last, Math.min(end, piece.lastAt + holdMaxMs) - piece.lastAt)
  const { count, sum, min, max, last, lastAt } = piece
  return {
    ...{ count, sum, min, max, mean: sum / count, last, lastAt },
    ...{ timeWeightedMean: heldMs > 0 ? area / heldMs : null, heldMs, positiveMs, rise },
  }
}

function riseTo(before: number, value: number): number {
  return value >= before ? value - before : value
}
