import { append, type Point, pieceOf, type Result, resultOf } from './piece.ts'
import type { Minute } from './points.ts'
import { type SeriesAbout, type SeriesName, sizes } from './series.ts'
import { quantile } from './sketch.ts'
import type { Window } from './window.ts'

/** What is told of a window of a series: in the topic of aggregates and by the read API. */
export type Aggregate = SeriesName & {
  unit: string | null
  size: '1m' | keyof typeof sizes
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

export function aggregateOf(window: Window, about: SeriesAbout, holdMaxMs: number): Aggregate {
  const { series, size, start, piece, before, sketch, amended } = window
  const end = start + sizes[size]
  const result = resultOf(piece!, before, { start, end }, holdMaxMs)
  const percentiles = { p50: quantile(sketch, 0.5), p95: quantile(sketch, 0.95) }
  return { ...told(series, about, result, percentiles), size, ...between(start, end), amended }
}

/** Of a minute, whose percentiles are exact (nearest rank). */
export function aggregateOfMinute(
  series: SeriesName,
  about: SeriesAbout,
  { start, points }: Minute,
  before: Point | null,
  holdMaxMs: number,
): Aggregate {
  const piece = pieceOf(points[0]!)
  for (const { at, value } of points.slice(1)) append(piece, at, value, holdMaxMs)
  const end = start + MINUTE_MS
  const result = resultOf(piece, before, { start, end }, holdMaxMs)
  const values = Float64Array.from(points, ({ value }) => value).sort()
  const ranked = (share: number) => values[Math.max(0, Math.ceil(values.length * share) - 1)]!
  const percentiles = { p50: ranked(0.5), p95: ranked(0.95) }
  const size = '1m' as const
  return { ...told(series, about, result, percentiles), size, ...between(start, end), amended: 0 }
}

function told(
  { site, zone, device, metric }: SeriesName,
  { unit, kind }: SeriesAbout,
  { heldMs: _, positiveMs, rise, lastAt, ...result }: Result,
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
