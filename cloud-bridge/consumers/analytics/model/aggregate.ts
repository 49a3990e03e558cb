import type { Effect } from '../../state/state.ts'
import type { CompleteWindow } from './complete-window.ts'
import {
  type PartialAggregate,
  type Point,
  statisticsOf,
  type WindowStatistics,
} from './partial-aggregate.ts'
import { type SeriesAbout, type SeriesName, windowKey, windowSizesMs } from './series.ts'
import { quantile } from './sketch.ts'

/** What is told of a window of a series: in the topic of aggregates and by the read API. */
export type Aggregate = SeriesName & {
  unit: string | null
  size: '1m' | keyof typeof windowSizesMs
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
  /** Over the time for which a value is known. */
  timeWeightedMean: number | null
  /** What a meter rose by, where the unit is one of energy. */
  energyKwh: number | null
  /** Hours with a value above zero, where that says that somebody is there. */
  occupiedHours: number | null
  /** How many points came after the window had been told. */
  amended: number
}

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
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
/** Where no unit is given, a meter's name may end in it. */
const KWH_BY_NAME: [ending: RegExp, perUnit: number][] = [
  [/_kwh$/i, 1],
  [/_mwh$/i, 1e3],
  [/_wh$/i, 1e-3],
]
const PRESENCE = /occup|presen|people|motion/i

export function aggregateOf(
  whole: CompleteWindow,
  about: SeriesAbout,
  holdMaxMs: number,
): Aggregate {
  const { series, size, start, piece, before, sketch, amended } = whole
  const end = start + windowSizesMs[size]
  const result = statisticsOf(piece, before, { start, end }, holdMaxMs)
  const percentiles = { p50: quantile(sketch, 0.5), p95: quantile(sketch, 0.95) }
  return { ...told(series, about, result, percentiles), size, ...between(start, end), amended }
}

/** What is in a minute of a series, its values in order of time, and the point before it. */
export type Minute = {
  start: number
  piece: PartialAggregate
  values: readonly number[]
  before: Point | null
}

/** Of a minute, whose percentiles are exact (nearest rank). */
export function aggregateOfMinute(
  series: SeriesName,
  about: SeriesAbout,
  { start, piece, values, before }: Minute,
  holdMaxMs: number,
): Aggregate {
  const end = start + MINUTE_MS
  const result = statisticsOf(piece, before, { start, end }, holdMaxMs)
  const sorted = Float64Array.from(values).sort()
  const ranked = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!
  const percentiles = { p50: ranked(0.5), p95: ranked(0.95) }
  const size = '1m' as const
  return { ...told(series, about, result, percentiles), size, ...between(start, end), amended: 0 }
}

function told(
  { site, zone, device, metric }: SeriesName,
  { unit, kind }: SeriesAbout,
  { heldMs: _, positiveMs, rise, lastAt, ...result }: WindowStatistics,
  percentiles: { p50: number | null; p95: number | null },
) {
  const named = KWH_BY_NAME.find(([ending]) => ending.test(metric))
  const perUnit = unit === null ? named?.[1] : KWH[unit]
  const isPresence = kind === 'flag' || PRESENCE.test(metric)
  return {
    ...{ site, zone, device, metric, unit },
    ...result,
    lastAt: new Date(lastAt).toISOString(),
    ...percentiles,
    energyKwh: perUnit === undefined ? null : rise * perUnit,
    occupiedHours: isPresence ? positiveMs / HOUR_MS : null,
  }
}

const between = (start: number, end: number) => ({
  start: new Date(start).toISOString(),
  end: new Date(end).toISOString(),
})

/** What is sent of a window: a newer one takes its place. */
export function createAggregateEffect(
  whole: CompleteWindow,
  about: SeriesAbout,
  topic: string,
  holdMaxMs: number,
): Effect {
  const { series, size, start } = whole
  const value = aggregateOf(whole, about, holdMaxMs)
  const name = [series.site, series.zone, series.device, series.metric, size, value.start]
  return {
    id: windowKey(series, size, start),
    topic,
    key: name.join('/'),
    value: Buffer.from(JSON.stringify(value)),
  }
}
