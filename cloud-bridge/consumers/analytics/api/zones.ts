import type { ConsumerStateAccess } from '../../state/state.ts'
import type { Aggregate } from '../model/aggregate.ts'
import { emptySketch, quantile, type Sketch } from '../model/sketch.ts'
import { apiWindowLengthMs } from './query.ts'
import { createYielder, type ListedSeries, listSeries } from './series-list.ts'
import {
  type PageRequest,
  readFirstWindowStart,
  readWindows,
  type WindowRange,
  type WindowResult,
} from './windows.ts'

/** The aggregate over the devices of a zone, of one metric in one unit, in one window. */
export type ZoneAggregate = Pick<
  Aggregate,
  'site' | 'zone' | 'metric' | 'unit' | 'size' | 'start' | 'end' | 'count' | 'sum' | 'min' | 'max'
> & {
  mean: number
  p50: number | null
  p95: number | null
  /** How many devices have a value in the window. */
  devices: number
  /** The sums over the devices; null when the value of every device is null. */
  energyKwh: number | null
  occupiedHours: number | null
  amended: number
}

/**
 * The largest number of device windows that are merged for one page. A page covers at least one
 * window of each series, even when there are more series.
 */
const MERGED_MAX = 20_000

type ZoneGroup = { first: Aggregate; aggregates: Aggregate[]; sketch: Sketch }

/**
 * A page of a zone's windows in order of time. `next` is the start of the first window of the next
 * page, in ms since 1970; null on the last page.
 */
export async function readZonePage(
  state: ConsumerStateAccess,
  { filter, cursor, limit, size, from, to }: WindowRange & PageRequest,
  holdMaxMs: number,
): Promise<{ zones: ZoneAggregate[]; next: number | null }> {
  const zoneSeries: ListedSeries[] = []
  for await (const series of listSeries(state, filter, null)) zoneSeries.push(series)
  const pageStart = Math.max(from, cursor?.start ?? 0)
  const begin = await readFirstStart(zoneSeries, { size, from: pageStart, to })
  if (begin === null) return { zones: [], next: null }
  const groupKeys = new Set(
    zoneSeries.map(({ name, attributes: { unit } }) => groupKeyOf({ ...name, unit })),
  )
  const windowCount = Math.min(limit / groupKeys.size, MERGED_MAX / zoneSeries.length)
  const lengthMs = Math.max(1, Math.floor(windowCount)) * apiWindowLengthMs(size)
  const end = Math.min(to, begin + lengthMs)
  const yieldIfBusy = createYielder()
  const groups = new Map<string, ZoneGroup>()
  for (const series of zoneSeries) {
    const range = { size, from: begin, to: end }
    for (const window of await readWindows(series, range, Number.MAX_SAFE_INTEGER, holdMaxMs)) {
      addToGroup(groups, window)
    }
    await yieldIfBusy()
  }
  const zones = [...groups.values()].map(zoneAggregateOf)
  zones.sort((a, b) => (sortKeyOf(a) < sortKeyOf(b) ? -1 : 1))
  const next = end < to ? await readFirstStart(zoneSeries, { size, from: end, to }) : null
  return { zones, next }
}

/**
 * The start of the earliest window of all given series in a range; null when no series has a
 * window.
 */
async function readFirstStart(zoneSeries: readonly ListedSeries[], range: WindowRange) {
  const yieldIfBusy = createYielder()
  let first: number | null = null
  for (const series of zoneSeries) {
    const start = await readFirstWindowStart(series, range)
    if (start !== null && (first === null || start < first)) first = start
    await yieldIfBusy()
  }
  return first
}

function addToGroup(
  groups: Map<string, ZoneGroup>,
  { start, aggregate, addTo: addValuesTo }: WindowResult,
): void {
  const key = `${start} ${groupKeyOf(aggregate)}`
  const group = groups.get(key) ?? { first: aggregate, aggregates: [], sketch: emptySketch() }
  groups.set(key, group)
  group.aggregates.push(aggregate)
  addValuesTo(group.sketch)
}

function zoneAggregateOf({ first, aggregates, sketch }: ZoneGroup): ZoneAggregate {
  const { site, zone, metric, unit, size, start, end } = first
  const count = sumOf(aggregates.map(aggregate => aggregate.count))
  const sum = sumOf(aggregates.map(aggregate => aggregate.sum))
  return {
    ...{ site, zone, metric, unit, size, start, end },
    devices: new Set(aggregates.map(({ device }) => device)).size,
    ...{ count, sum, mean: sum / count },
    min: aggregates.reduce((lowest, { min }) => Math.min(lowest, min), Number.POSITIVE_INFINITY),
    max: aggregates.reduce((highest, { max }) => Math.max(highest, max), Number.NEGATIVE_INFINITY),
    ...{ p50: quantile(sketch, 0.5), p95: quantile(sketch, 0.95) },
    energyKwh: sumOfKnown(aggregates.map(({ energyKwh }) => energyKwh)),
    occupiedHours: sumOfKnown(aggregates.map(({ occupiedHours }) => occupiedHours)),
    amended: sumOf(aggregates.map(({ amended }) => amended)),
  }
}

// Values of different units have no common mean, so each unit has an aggregate of its own.
const groupKeyOf = ({ site, metric, unit }: Pick<Aggregate, 'site' | 'metric' | 'unit'>) =>
  JSON.stringify([site, metric, unit])
const sortKeyOf = (zone: ZoneAggregate) => `${zone.start} ${groupKeyOf(zone)}`

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0)

function sumOfKnown(values: readonly (number | null)[]): number | null {
  const known = values.filter(value => value !== null)
  return known.length === 0 ? null : sumOf(known)
}
