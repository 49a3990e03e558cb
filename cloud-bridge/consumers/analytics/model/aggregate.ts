import { nameKey } from '../../state/name-key.ts'
import type { Effect } from '../../state/state.ts'
import type { CompleteWindow } from './complete-window.ts'
import { createMeterTally, type MeterTally } from './meter.ts'
import {
  type PartialAggregate,
  type Point,
  statisticsOf,
  type WindowStatistics,
} from './partial-aggregate.ts'
import { type SeriesAttributes, type SeriesName, windowKey } from './series.ts'
import { quantile } from './sketch.ts'
import type { Bounds } from './window.ts'
import type { WindowSize } from './window-sizes.ts'

/** The published form of a window of a series: in the topic of aggregates and in the read API. */
export type Aggregate = SeriesName & {
  unit: string | null
  size: '1m' | WindowSize
  /** ISO 8601, UTC. */
  start: string
  end: string
  count: number
  sum: number
  /** Null in a window without values, in which the value before still counts. */
  min: number | null
  max: number | null
  mean: number | null
  last: number | null
  lastAt: string | null
  p50: number | null
  p95: number | null
  /** The mean over the time for which a value is known. */
  timeWeightedMean: number | null
  /**
   * The rise of a meter in kWh, below zero when the counter falls steadily; null when the unit is
   * not a unit of energy.
   */
  energyKwh: number | null
  /** How the doubtful readings of a meter were judged (meter.ts); null for other series. */
  meter: Omit<MeterTally, 'rise'> | null
  /** Hours with a value above zero; null when the series says nothing about presence. */
  occupiedHours: number | null
  /** How many points arrived after the window was published first. */
  amended: number
  /**
   * How many values count at the time of receipt, because the device's own time was more than a day
   * before or more than a minute after. Null for a minute, when its quarter of an hour has some.
   */
  countedAtReceipt: number | null
}

const HOUR_MS = 3_600_000
export const MINUTE_MS = 60_000
/** UCUM units of energy, in kWh. */
const KWH: Readonly<Record<string, number>> = {
  'W.h': 1e-3,
  'kW.h': 1,
  'MW.h': 1e3,
  J: 1 / 3.6e6,
  kJ: 1 / 3.6e3,
  MJ: 1 / 3.6,
  GJ: 1e3 / 3.6,
}
/** A series without a unit counts as energy when its metric ends like this. `perUnit` is in kWh. */
const KWH_BY_NAME: [ending: RegExp, perUnit: number][] = [
  [/_kwh$/i, 1],
  [/_mwh$/i, 1e3],
  [/_wh$/i, 1e-3],
]
const PRESENCE = /occup|presen|people|motion/i

/** The kWh that one unit of a meter stands for; null when the series is no meter of energy. */
export function kwhPerUnit(metric: string, { unit }: SeriesAttributes): number | null {
  if (unit !== null) return KWH[unit] ?? null
  return KWH_BY_NAME.find(([ending]) => ending.test(metric))?.[1] ?? null
}

export function aggregateOf(
  window: CompleteWindow,
  attributes: SeriesAttributes,
  holdMaxMs: number,
): Aggregate {
  const { series, size, partial, before, sketch, amended } = window
  const statistics = statisticsOf(partial, before, window, holdMaxMs)
  const percentiles = { p50: quantile(sketch, 0.5), p95: quantile(sketch, 0.95) }
  const { atReceipt: countedAtReceipt } = statistics
  const fields = fieldsOf(series, attributes, statistics, percentiles)
  return { ...fields, size, ...isoRange(window), amended, countedAtReceipt }
}

/**
 * A minute of a series: its values in order of time, and the last point before the minute. A minute
 * without a value has no partial aggregate.
 */
export type Minute = Bounds & {
  partial: PartialAggregate | null
  values: readonly number[]
  before: Point | null
  /** How many points of the minute's quarter of an hour count at the time of receipt. */
  atReceiptInQuarter: number
}

/** The aggregate of a minute. Its percentiles are exact (nearest rank). */
export function aggregateOfMinute(
  series: SeriesName,
  attributes: SeriesAttributes,
  minute: Minute,
  holdMaxMs: number,
): Aggregate {
  const { partial, values, before, atReceiptInQuarter } = minute
  const statistics = statisticsOf(partial, before, minute, holdMaxMs)
  const sorted = Float64Array.from(values).sort()
  const ranked = (fraction: number) =>
    sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)] ?? null
  const percentiles = { p50: ranked(0.5), p95: ranked(0.95) }
  const fields = fieldsOf(series, attributes, statistics, percentiles)
  const countedAtReceipt = atReceiptInQuarter === 0 || values.length === 0 ? 0 : null
  return { ...fields, size: '1m', ...isoRange(minute), amended: 0, countedAtReceipt }
}

function fieldsOf(
  { site, zone, device, metric }: SeriesName,
  attributes: SeriesAttributes,
  statistics: WindowStatistics,
  percentiles: { p50: number | null; p95: number | null },
) {
  const { knownMs: _, positiveMs, meter, lastAt, atReceipt: __, ...others } = statistics
  const perUnit = kwhPerUnit(metric, attributes)
  const isPresence = attributes.kind === 'flag' || PRESENCE.test(metric)
  const { rise, ...judged } = meter ?? NO_READINGS
  return {
    ...{ site, zone, device, metric, unit: attributes.unit },
    ...others,
    lastAt: lastAt === null ? null : new Date(lastAt).toISOString(),
    ...percentiles,
    energyKwh: perUnit === null ? null : rise * perUnit,
    meter: perUnit === null ? null : judged,
    occupiedHours: isPresence ? positiveMs / HOUR_MS : null,
  }
}

const NO_READINGS = createMeterTally()

const isoRange = ({ start, end }: Bounds) => ({
  start: new Date(start).toISOString(),
  end: new Date(end).toISOString(),
})

/** The record that publishes a window. A newer record of the same window replaces an older one. */
export function createAggregateEffect(
  window: CompleteWindow,
  attributes: SeriesAttributes,
  topic: string,
  holdMaxMs: number,
): Effect {
  const { series, size, start } = window
  const aggregate = aggregateOf(window, attributes, holdMaxMs)
  const { site, zone, device, metric } = series
  return {
    id: windowKey(series, size, start),
    topic,
    key: nameKey(site, zone, device, metric, size, aggregate.start),
    value: Buffer.from(JSON.stringify(aggregate)),
  }
}
