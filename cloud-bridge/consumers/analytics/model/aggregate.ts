import { nameKey } from '../../state/name-key.ts'
import type { Effect } from '../../state/state.ts'
import type { CompleteWindow } from './complete-window.ts'
import {
  type PartialAggregate,
  type Point,
  statisticsOf,
  type WindowStatistics,
} from './partial-aggregate.ts'
import { type SeriesAttributes, type SeriesName, windowKey } from './series.ts'
import { quantile } from './sketch.ts'
import { type WindowSize, windowLengthMs } from './window-sizes.ts'

/** The published form of a window of a series: in the topic of aggregates and in the read API. */
export type Aggregate = SeriesName & {
  unit: string | null
  size: '1m' | WindowSize
  /** ISO 8601, UTC. */
  start: string
  end: string
  count: number
  sum: number
  min: number
  max: number
  mean: number
  last: number
  lastAt: string
  p50: number | null
  p95: number | null
  /** The mean over the time for which a value is known. */
  timeWeightedMean: number | null
  /** The rise of a meter in kWh; null when the unit is not a unit of energy. */
  energyKwh: number | null
  /** Hours with a value above zero; null when the series says nothing about presence. */
  occupiedHours: number | null
  /** How many points arrived after the window was published first. */
  amended: number
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

export function aggregateOf(
  window: CompleteWindow,
  attributes: SeriesAttributes,
  holdMaxMs: number,
): Aggregate {
  const { series, size, start, partial, before, sketch, amended } = window
  const end = start + windowLengthMs(size)
  const statistics = statisticsOf(partial, before, { start, end }, holdMaxMs)
  const percentiles = { p50: quantile(sketch, 0.5), p95: quantile(sketch, 0.95) }
  const fields = fieldsOf(series, attributes, statistics, percentiles)
  return { ...fields, size, ...isoRange(start, end), amended }
}

/** A minute of a series: its values in order of time, and the last point before the minute. */
export type Minute = {
  start: number
  partial: PartialAggregate
  values: readonly number[]
  before: Point | null
}

/** The aggregate of a minute. Its percentiles are exact (nearest rank). */
export function aggregateOfMinute(
  series: SeriesName,
  attributes: SeriesAttributes,
  { start, partial, values, before }: Minute,
  holdMaxMs: number,
): Aggregate {
  const end = start + MINUTE_MS
  const statistics = statisticsOf(partial, before, { start, end }, holdMaxMs)
  const sorted = Float64Array.from(values).sort()
  const ranked = (fraction: number) => sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)]!
  const percentiles = { p50: ranked(0.5), p95: ranked(0.95) }
  const fields = fieldsOf(series, attributes, statistics, percentiles)
  return { ...fields, size: '1m', ...isoRange(start, end), amended: 0 }
}

function fieldsOf(
  { site, zone, device, metric }: SeriesName,
  { unit, kind }: SeriesAttributes,
  { knownMs: _, positiveMs, rise, lastAt, ...statistics }: WindowStatistics,
  percentiles: { p50: number | null; p95: number | null },
) {
  const energyName = KWH_BY_NAME.find(([ending]) => ending.test(metric))
  const perUnit = unit === null ? energyName?.[1] : KWH[unit]
  const isPresence = kind === 'flag' || PRESENCE.test(metric)
  return {
    ...{ site, zone, device, metric, unit },
    ...statistics,
    lastAt: new Date(lastAt).toISOString(),
    ...percentiles,
    energyKwh: perUnit === undefined ? null : rise * perUnit,
    occupiedHours: isPresence ? positiveMs / HOUR_MS : null,
  }
}

const isoRange = (start: number, end: number) => ({
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
