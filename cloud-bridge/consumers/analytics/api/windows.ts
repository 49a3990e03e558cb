import { lastTimeOfKey } from '../../state/row-keys.ts'
import type { ConsumerStateAccess } from '../../state/state.ts'
import { StateCache } from '../memory/state-cache.ts'
import type { ActiveSeries } from '../model/active-series.ts'
import {
  type Aggregate,
  aggregateOf,
  aggregateOfMinute,
  MINUTE_MS,
  type Minute,
} from '../model/aggregate.ts'
import { unpackBlock } from '../model/block.ts'
import {
  type CompleteWindow,
  completeLongWindow,
  completeQuarter,
} from '../model/complete-window.ts'
import { partialAggregateOf, type Quarter } from '../model/quarter.ts'
import { pointsBetween, windowsBetween } from '../model/series.ts'
import { mergeInto, type Sketch } from '../model/sketch.ts'
import { unpackWindow } from '../model/window.ts'
import { BASE_SIZE, type LongWindowSize, windowStartOf } from '../model/window-sizes.ts'
import { type ApiWindowSize, apiWindowLengthMs } from './query.ts'
import {
  isCursorInSeries,
  type ListedSeries,
  listSeries,
  type PageCursor,
  type SeriesFilter,
} from './series-list.ts'

/** The largest number of series that are read for one page, including series without a window. */
const SERIES_PER_PAGE_MAX = 2000
const BLOCKS_AT_ONCE = 32
const WINDOWS_AT_ONCE = 500

/**
 * Selects the windows of a size that overlap the time from `from` (included) to `to` (excluded),
 * both in ms since 1970.
 */
export type WindowRange<S extends ApiWindowSize = ApiWindowSize> = {
  size: S
  from: number
  to: number
}

/** A window of a series. `addTo` adds the window's values to a sketch over several windows. */
export type WindowResult = { start: number; aggregate: Aggregate; addTo(sketch: Sketch): void }

/** The committed windows of one series in order of time, at most `limit`. */
export async function readWindows(
  series: ListedSeries,
  range: WindowRange,
  limit: number,
  holdMaxMs: number,
): Promise<WindowResult[]> {
  const { size } = range
  if (size === '1m') return readMinutes(series, range, limit, holdMaxMs)
  const results: WindowResult[] = []
  for await (const window of readCompleteWindows(series, { ...range, size }, holdMaxMs)) {
    if (results.length === limit) break
    const aggregate = aggregateOf(window, series.attributes, holdMaxMs)
    const addTo = (sketch: Sketch) => mergeInto(sketch, window.sketch)
    results.push({ start: window.start, aggregate, addTo })
  }
  return results
}

/** The committed windows of one series with all their points, in order of time. */
export async function* readCompleteWindows(
  series: ListedSeries,
  { size, from, to }: WindowRange<CompleteWindow['size']>,
  holdMaxMs: number,
): AsyncGenerator<CompleteWindow> {
  const range = { from: windowStartOf(size, from), to }
  if (size !== BASE_SIZE) {
    yield* readLongWindows(series, size, range, holdMaxMs)
    return
  }
  for await (const quarter of readQuarters(series, range)) {
    yield completeQuarter(series.name, quarter, holdMaxMs)
  }
}

type TimeRange = { from: number; to: number }

async function* readLongWindows(
  listed: ListedSeries,
  size: LongWindowSize,
  { from, to }: TimeRange,
  holdMaxMs: number,
): AsyncGenerator<CompleteWindow> {
  // The open windows are read before the rows. In the other order, a window that closes in between
  // could be in neither.
  const series = await readSeriesEnd(listed, holdMaxMs)
  const { reader, name } = listed
  const last = series.openWindows.get(size)
  let open = last && last.start >= from && last.start < to ? last : null
  for (let begin = from; ; ) {
    const rows = await reader.range({
      ...windowsBetween(name, size, begin, to),
      limit: WINDOWS_AT_ONCE,
    })
    for (const { key, value } of rows) {
      const start = lastTimeOfKey(key)
      begin = start + 1
      if (open && start >= open.start) {
        yield completeLongWindow(open, series, holdMaxMs)
        open = null
      }
      // A published open window has a row too. That row lacks the window's open parts, so it is not
      // used.
      if (start === last?.start) continue
      yield completeLongWindow(unpackWindow(name, size, start, value), null, holdMaxMs)
    }
    if (rows.length < WINDOWS_AT_ONCE) break
  }
  if (open) yield completeLongWindow(open, series, holdMaxMs)
}

/** A series with the windows that contain its last point. */
async function readSeriesEnd(
  { reader, name, attributes }: ListedSeries,
  holdMaxMs: number,
): Promise<ActiveSeries> {
  const cache = new StateCache(reader, holdMaxMs)
  return cache.loadSeries(await cache.loadDevice(name), name.metric, attributes)
}

/**
 * The quarters of a series from the one that contains `from` to the last that starts before `to`.
 */
async function* readQuarters(
  { reader, name }: ListedSeries,
  { from, to }: TimeRange,
): AsyncGenerator<Quarter> {
  for (let begin = windowStartOf(BASE_SIZE, from); ; ) {
    const rows = await reader.range({ ...pointsBetween(name, begin, to), limit: BLOCKS_AT_ONCE })
    for (const { key, value } of rows) {
      const start = lastTimeOfKey(key)
      begin = start + 1
      const quarter = unpackBlock(start, value).block.quarters.get(name.metric)
      if (quarter) yield quarter
    }
    if (rows.length < BLOCKS_AT_ONCE) return
  }
}

/**
 * The start (ms since 1970) of the first window in a range in which a series has a point; null when
 * the range has no such window.
 */
export async function readFirstWindowStart(
  series: ListedSeries,
  { size, from, to }: WindowRange,
): Promise<number | null> {
  const lengthMs = apiWindowLengthMs(size)
  const begin = Math.floor(from / lengthMs) * lengthMs
  const end = (Math.floor((to - 1) / lengthMs) + 1) * lengthMs
  for await (const { times } of readQuarters(series, { from: begin, to: end })) {
    const first = times.find(moment => moment >= begin && moment < end)
    if (first !== undefined) return Math.floor(first / lengthMs) * lengthMs
  }
  return null
}

async function readMinutes(
  series: ListedSeries,
  { from, to }: TimeRange,
  limit: number,
  holdMaxMs: number,
): Promise<WindowResult[]> {
  const { name, attributes } = series
  const range = { from: Math.floor(from / MINUTE_MS) * MINUTE_MS, to }
  const results: WindowResult[] = []
  for await (const quarter of readQuarters(series, range)) {
    for (const minute of minutesOf(quarter, holdMaxMs)) {
      if (minute.start < range.from || minute.start >= to) continue
      if (results.length === limit) return results
      const aggregate = aggregateOfMinute(name, attributes, minute, holdMaxMs)
      const addTo = (sketch: Sketch) => {
        for (const value of minute.values) sketch.accept(value)
      }
      results.push({ start: minute.start, aggregate, addTo })
    }
  }
  return results
}

function* minutesOf(quarter: Quarter, holdMaxMs: number): Generator<Minute> {
  const { times, values } = quarter
  let { before } = quarter
  for (let from = 0, to = 0; from < times.length; from = to) {
    const start = Math.floor(times[from]! / MINUTE_MS) * MINUTE_MS
    while (to < times.length && times[to]! < start + MINUTE_MS) to++
    const partial = partialAggregateOf(quarter, holdMaxMs, { from, to })
    yield { start, partial, values: values.slice(from, to), before }
    before = { at: partial.lastAt, value: partial.last }
  }
}

/** `next` is the cursor of the next page; null on the last page. */
export type WindowPage = { windows: WindowResult[]; next: PageCursor | null }

/** Which series a page covers, where the page starts, and the largest number of its entries. */
export type PageRequest = { filter: SeriesFilter; cursor: PageCursor | null; limit: number }

/** A page of windows, series by series. */
export async function readWindowPage(
  state: ConsumerStateAccess,
  { filter, cursor, limit, ...range }: WindowRange & PageRequest,
  holdMaxMs: number,
): Promise<WindowPage> {
  const windows: WindowResult[] = []
  let seriesCount = 0
  for await (const series of listSeries(state, filter, cursor)) {
    const { partition, key } = series
    const isContinued = isCursorInSeries(series, cursor)
    const from = isContinued ? Math.max(range.from, cursor!.start) : range.from
    if (windows.length === limit || seriesCount++ === SERIES_PER_PAGE_MAX) {
      return { windows, next: { partition, key, start: from } }
    }
    const room = limit - windows.length
    const results = await readWindows(series, { ...range, from }, room + 1, holdMaxMs)
    windows.push(...results.slice(0, room))
    const beyond = results[room]
    if (beyond) return { windows, next: { partition, key, start: beyond.start } }
  }
  return { windows, next: null }
}
