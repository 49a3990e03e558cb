import { partsOf, timeIn } from '../../state/keys.ts'
import type { AnyVersion } from '../../state/state.ts'
import { Cache } from '../cache.ts'
import { unpackPoints } from '../points.ts'
import { sketchOf } from '../rebuild.ts'
import { type Aggregate, aggregateOf, aggregateOfMinute } from '../results.ts'
import { minutesBetween, type Size, sizeNames, sizes, windowsBetween } from '../series.ts'
import { mergeInto, type Sketch } from '../sketch.ts'
import { unpackWindow, type Window } from '../window.ts'
import { type Filter, isIn, type Listed, type Place, seriesIn } from './listed.ts'
import type { AskedSize } from './question.ts'

const MINUTE_MS = 60_000
/** So many series are looked at for one page, whether they have something for it or not. */
const LOOKED_AT_MAX = 2000

export const msOf = (size: AskedSize) => (size === '1m' ? MINUTE_MS : sizes[size])

/** What is asked of windows: those in which some of the time from `from` to before `to` lies. */
export type Wanted = { size: AskedSize; from: number; to: number }

/** A window of a series: what is told of it, and how its values join others in percentiles. */
export type Told = { start: number; aggregate: Aggregate; addTo(sketch: Sketch): void }

/** The windows of one series in order of time, as they are committed, at most so many. */
export async function windowsOf(
  listed: Listed,
  { size, from, to }: Wanted,
  limit: number,
  holdMaxMs: number,
): Promise<Told[]> {
  const first = Math.floor(from / msOf(size)) * msOf(size)
  if (size === '1m') return minutesOf(listed, { from: first, to }, limit, holdMaxMs)
  const { reader, name, about } = listed
  // Before the rows: if its series leaves it meanwhile, it is among them.
  const open = await openOf(listed, size, { from: first, to }, holdMaxMs)
  const rows = await reader.range({ ...windowsBetween(name, size, first, to), limit })
  const found = rows.map(({ key, value }) => unpackWindow(name, size, timeOfKey(key), value))
  // One that was told before it was left has a row, without the values of its open parts.
  const windows = found.filter(({ start }) => start !== open?.start)
  if (open && windows.length < limit && windows.every(({ start }) => start < open.start)) {
    windows.push(open)
  }
  return windows.map(window => {
    const aggregate = aggregateOf(window, about, holdMaxMs)
    return { start: window.start, aggregate, addTo: sketch => mergeInto(sketch, window.sketch) }
  })
}

/** The window in which a series ends, made of what is in it; null where that is not asked for. */
async function openOf(
  { reader, name, about }: Listed,
  size: Size,
  { from, to }: { from: number; to: number },
  holdMaxMs: number,
): Promise<Window | null> {
  const cache = new Cache(reader, holdMaxMs)
  const series = await cache.loadSeries(name, about)
  const open = series.open[sizeNames.indexOf(size)]
  if (!open || open.start < from || open.start >= to) return null
  return { ...open, sketch: sketchOf(open, (of, at) => cache.windowAt(series, of, at)) }
}

/** When the first window that is wanted of a series begins; null: there is none. */
export async function firstStartOf(
  { reader, name }: Listed,
  { size, from, to }: Wanted,
): Promise<number | null> {
  const startOf = (at: number) => Math.floor(at / msOf(size)) * msOf(size)
  const span = minutesBetween(name, startOf(from), startOf(to - 1) + msOf(size))
  const [row] = await reader.range({ ...span, limit: 1 })
  return row ? startOf(timeOfKey(row.key)) : null
}

async function minutesOf(
  { reader, name, about }: Listed,
  { from, to }: { from: number; to: number },
  limit: number,
  holdMaxMs: number,
): Promise<Told[]> {
  const rows = await reader.range({ ...minutesBetween(name, from, to), limit })
  if (rows.length === 0) return []
  const earlier = { ...minutesBetween(name, 0, from), limit: 1, backwards: true }
  const all = [...(await reader.range(earlier)), ...rows].map(({ key, value }) =>
    unpackPoints(timeOfKey(key), value),
  )
  return all.flatMap((minute, at) => {
    if (minute.start < from) return []
    const before = all[at - 1]?.points.at(-1) ?? null
    const aggregate = aggregateOfMinute(name, about, minute, before, holdMaxMs)
    const addTo = (sketch: Sketch) => {
      for (const { value } of minute.points) sketch.accept(value)
    }
    return [{ start: minute.start, aggregate, addTo }]
  })
}

const timeOfKey = (key: string) => timeIn(partsOf(key).at(-1)!)

export type Page = { windows: Told[]; next: Place | null }

/** The windows that are wanted, series by series, from a place on; `next` is where to go on. */
export async function windowsPage(
  state: AnyVersion,
  { filter, place, limit, ...wanted }: Wanted & Asking,
  holdMaxMs: number,
): Promise<Page> {
  const windows: Told[] = []
  let lookedAt = 0
  for await (const listed of seriesIn(state, filter, place)) {
    const { partition, key } = listed
    const from = isIn(listed, place) ? Math.max(wanted.from, place!.start) : wanted.from
    if (windows.length === limit || lookedAt++ === LOOKED_AT_MAX) {
      return { windows, next: { partition, key, start: from } }
    }
    const left = limit - windows.length
    const found = await windowsOf(listed, { ...wanted, from }, left + 1, holdMaxMs)
    windows.push(...found.slice(0, left))
    const beyond = found[left]
    if (beyond) return { windows, next: { partition, key, start: beyond.start } }
  }
  return { windows, next: null }
}

/** Of which series, from where on, and how many at most. */
export type Asking = { filter: Filter; place: Place | null; limit: number }
