import type { ConsumerStateAccess } from '../../state/state.ts'
import type { Aggregate } from '../model/aggregate.ts'
import { emptySketch, quantile, type Sketch } from '../model/sketch.ts'
import { createYielder, type ListedSeries, listSeries } from './series-list.ts'
import {
  type PageRequest,
  readFirstWindowStart,
  readWindows,
  type WindowRange,
  type WindowResult,
  windowLengthMs,
} from './windows.ts'

/** What the devices of a zone come to together, of one metric in one unit, in one window. */
export type ZoneAggregate = Pick<
  Aggregate,
  'site' | 'zone' | 'metric' | 'unit' | 'size' | 'start' | 'end' | 'count' | 'sum' | 'min' | 'max'
> & {
  mean: number
  p50: number | null
  p95: number | null
  /** How many of them have a value in it. */
  devices: number
  /** The sums over the devices, null where none has any. */
  energyKwh: number | null
  occupiedHours: number | null
  amended: number
}

/** So many windows of devices are put together for one page, or all of one moment. */
const JOINED_MAX = 20_000

type Group = { about: Aggregate; parts: Aggregate[]; sketch: Sketch }

/** The windows of a zone in order of time, from a moment on; `next` is where to go on, or null. */
export async function readZonePage(
  state: ConsumerStateAccess,
  { filter, place, limit, size, from, to }: WindowRange & PageRequest,
  holdMaxMs: number,
): Promise<{ zones: ZoneAggregate[]; next: number | null }> {
  const listed: ListedSeries[] = []
  for await (const one of listSeries(state, filter, null)) listed.push(one)
  const since = Math.max(from, place?.start ?? 0)
  const begin = await firstOf(listed, { size, from: since, to })
  if (begin === null) return { zones: [], next: null }
  const each = new Set(listed.map(({ name, about }) => groupKey({ ...name, unit: about.unit })))
  const atOnce = Math.min(limit / each.size, JOINED_MAX / listed.length)
  const until = Math.min(to, begin + Math.max(1, Math.floor(atOnce)) * windowLengthMs(size))
  const rest = createYielder()
  const groups = new Map<string, Group>()
  for (const series of listed) {
    const wanted = { size, from: begin, to: until }
    for (const told of await readWindows(series, wanted, Number.MAX_SAFE_INTEGER, holdMaxMs)) {
      addTo(groups, told)
    }
    await rest()
  }
  const zones = [...groups.values()].map(together)
  zones.sort((one, other) => (sortKey(one) < sortKey(other) ? -1 : 1))
  const next = until < to ? await firstOf(listed, { size, from: until, to }) : null
  return { zones, next }
}

/** When the earliest window that is wanted of any of these series begins. */
async function firstOf(listed: readonly ListedSeries[], wanted: WindowRange) {
  const rest = createYielder()
  let first: number | null = null
  for (const series of listed) {
    const start = await readFirstWindowStart(series, wanted)
    if (start !== null && (first === null || start < first)) first = start
    await rest()
  }
  return first
}

function addTo(
  groups: Map<string, Group>,
  { start, aggregate, addTo: addValues }: WindowResult,
): void {
  const key = `${start} ${groupKey(aggregate)}`
  const group = groups.get(key) ?? { about: aggregate, parts: [], sketch: emptySketch() }
  groups.set(key, group)
  group.parts.push(aggregate)
  addValues(group.sketch)
}

function together({ about, parts, sketch }: Group): ZoneAggregate {
  const { site, zone, metric, unit, size, start, end } = about
  const count = sumOf(parts.map(part => part.count))
  const sum = sumOf(parts.map(part => part.sum))
  return {
    ...{ site, zone, metric, unit, size, start, end },
    devices: new Set(parts.map(({ device }) => device)).size,
    ...{ count, sum, mean: sum / count },
    min: parts.reduce((min, part) => Math.min(min, part.min), Number.POSITIVE_INFINITY),
    max: parts.reduce((max, part) => Math.max(max, part.max), Number.NEGATIVE_INFINITY),
    ...{ p50: quantile(sketch, 0.5), p95: quantile(sketch, 0.95) },
    energyKwh: sumOfKnown(parts.map(part => part.energyKwh)),
    occupiedHours: sumOfKnown(parts.map(part => part.occupiedHours)),
    amended: sumOf(parts.map(part => part.amended)),
  }
}

// Degrees of one unit and of another have no mean.
const groupKey = ({ site, metric, unit }: Pick<Aggregate, 'site' | 'metric' | 'unit'>) =>
  JSON.stringify([site, metric, unit])
const sortKey = (zone: ZoneAggregate) => `${zone.start} ${groupKey(zone)}`

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0)

function sumOfKnown(values: readonly (number | null)[]): number | null {
  const known = values.filter(value => value !== null)
  return known.length === 0 ? null : sumOf(known)
}
