import type { ConsumerStateAccess } from '../../state/state.ts'
import type { Aggregate } from '../model/aggregate.ts'
import { emptySketch, quantile, type Sketch } from '../model/sketch.ts'
import { apiWindowLengthMs } from './query.ts'
import { createYielder, type ListedSeries, listSeries } from './series-list.ts'
import type { ApiContext, WindowRange } from './window-range.ts'
import {
  type PageRequest,
  readFirstWindowStart,
  readWindows,
  type WindowResult,
} from './windows.ts'

/** The aggregate over the devices of a zone, of one metric in one unit, in one window. */
export type ZoneAggregate = Pick<
  Aggregate,
  'site' | 'zone' | 'metric' | 'unit' | 'size' | 'start' | 'end' | 'count' | 'sum' | 'min' | 'max'
> & {
  mean: number | null
  p50: number | null
  p95: number | null
  /** How many devices have a value in the window. */
  devices: number
  /** The sums over the devices; null when the value of every device is null. */
  energyKwh: number | null
  occupiedHours: number | null
  /** The sums over the meters; null without meters. */
  meter: Aggregate['meter']
  amended: number
  countedAtReceipt: number | null
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
  { filter, cursor, limit, ...range }: WindowRange & PageRequest,
  context: ApiContext,
): Promise<{ zones: ZoneAggregate[]; next: number | null }> {
  const { size, to } = range
  const zoneSeries: ListedSeries[] = []
  for await (const series of listSeries(state, filter, null, context.calendars)) {
    zoneSeries.push(series)
  }
  // The windows of the sites can begin at different times. A page has those that begin in it.
  const from = Math.max(range.from, cursor?.start ?? 0)
  const firstStart = cursor ? from : Number.NEGATIVE_INFINITY
  const begin = await readFirstStart(zoneSeries, { ...range, from }, firstStart, context)
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
    for await (const window of readWindows(series, { ...range, from: begin, to: end }, context)) {
      if (window.start >= begin) addToGroup(groups, window)
      await yieldIfBusy()
    }
  }
  const zones = [...groups.values()].map(zoneAggregateOf)
  zones.sort((a, b) => (sortKeyOf(a) < sortKeyOf(b) ? -1 : 1))
  const rest = { ...range, from: end }
  const next = end < to ? await readFirstStart(zoneSeries, rest, end, context) : null
  return { zones, next }
}

/**
 * The start of the earliest window of all given series in a range that starts at `notBefore` or
 * later; null when no series has such a window.
 */
async function readFirstStart(
  zoneSeries: readonly ListedSeries[],
  range: WindowRange,
  notBefore: number,
  context: ApiContext,
) {
  const yieldIfBusy = createYielder()
  let first: number | null = null
  for (const series of zoneSeries) {
    const start = await readFirstWindowStart(series, range, notBefore, context)
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
    devices: new Set(aggregates.flatMap(({ device, count }) => (count > 0 ? [device] : []))).size,
    ...{ count, sum, mean: count === 0 ? null : sum / count },
    min: count === 0 ? null : Math.min(...aggregates.flatMap(({ min }) => min ?? [])),
    max: count === 0 ? null : Math.max(...aggregates.flatMap(({ max }) => max ?? [])),
    ...{ p50: quantile(sketch, 0.5), p95: quantile(sketch, 0.95) },
    energyKwh: sumOfKnown(aggregates.map(({ energyKwh }) => energyKwh)),
    occupiedHours: sumOfKnown(aggregates.map(({ occupiedHours }) => occupiedHours)),
    meter: sumOfMeters(aggregates.flatMap(({ meter }) => meter ?? [])),
    amended: sumOf(aggregates.map(({ amended }) => amended)),
    countedAtReceipt: aggregates.some(({ countedAtReceipt }) => countedAtReceipt === null)
      ? null
      : sumOf(aggregates.map(({ countedAtReceipt }) => countedAtReceipt ?? 0)),
  }
}

// Values of different units have no common mean, so each unit has an aggregate of its own.
const groupKeyOf = ({ site, metric, unit }: Pick<Aggregate, 'site' | 'metric' | 'unit'>) =>
  JSON.stringify([site, metric, unit])
const sortKeyOf = (zone: ZoneAggregate) => `${zone.start} ${groupKeyOf(zone)}`

function sumOfMeters(meters: readonly NonNullable<Aggregate['meter']>[]): Aggregate['meter'] {
  const [first, ...others] = meters
  if (!first) return null
  const sum = { ...first }
  const names = Object.keys(sum) as (keyof typeof sum)[]
  for (const meter of others) for (const name of names) sum[name] += meter[name]
  return sum
}

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0)

function sumOfKnown(values: readonly (number | null)[]): number | null {
  const known = values.filter(value => value !== null)
  return known.length === 0 ? null : sumOf(known)
}
