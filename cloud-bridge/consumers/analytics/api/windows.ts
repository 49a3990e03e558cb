import type { ConsumerStateAccess } from '../../state/state.ts'
import { type Aggregate, aggregateOf, aggregateOfMinute } from '../model/aggregate.ts'
import { mergeInto, type Sketch } from '../model/sketch.ts'
import { readCompleteWindows } from './complete-windows.ts'
import { readMinutes } from './minutes.ts'
import {
  isCursorInSeries,
  type ListedSeries,
  listSeries,
  type PageCursor,
  type SeriesFilter,
} from './series-list.ts'
import type { ApiContext, WindowRange } from './window-range.ts'

/** The largest number of series that are read for one page, including series without a window. */
const SERIES_PER_PAGE_MAX = 2000

/** A window of a series. `addTo` adds the window's values to a sketch over several windows. */
export type WindowResult = {
  start: number
  end: number
  aggregate: Aggregate
  addTo(sketch: Sketch): void
}

/** The committed windows of one series in order of time. */
export async function* readWindows(
  series: ListedSeries,
  range: WindowRange,
  context: ApiContext,
): AsyncGenerator<WindowResult> {
  const { attributes, name } = series
  const { holdMaxMs } = context
  const { size } = range
  if (size === '1m') {
    for await (const minute of readMinutes(series, range, holdMaxMs)) {
      const { start, end, values } = minute
      const addTo = (sketch: Sketch) => {
        for (const value of values) sketch.accept(value)
      }
      yield { start, end, addTo, aggregate: aggregateOfMinute(name, attributes, minute, holdMaxMs) }
    }
    return
  }
  for await (const window of readCompleteWindows(series, { ...range, size }, context)) {
    const { start, end, sketch } = window
    const addTo = (others: Sketch) => mergeInto(others, sketch)
    yield { start, end, addTo, aggregate: aggregateOf(window, attributes, holdMaxMs) }
  }
}

/** `next` is the cursor of the next page; null on the last page. */
export type WindowPage = { windows: Aggregate[]; next: PageCursor | null }

/** Which series a page covers, where the page starts, and the largest number of its entries. */
export type PageRequest = { filter: SeriesFilter; cursor: PageCursor | null; limit: number }

/** A page of windows, series by series. */
export async function readWindowPage(
  state: ConsumerStateAccess,
  { filter, cursor, limit, ...range }: WindowRange & PageRequest,
  context: ApiContext,
): Promise<WindowPage> {
  const windows: Aggregate[] = []
  let seriesCount = 0
  for await (const series of listSeries(state, filter, cursor, context.calendars)) {
    const { partition, key } = series
    const isContinued = isCursorInSeries(series, cursor)
    const from = isContinued ? Math.max(range.from, cursor!.start) : range.from
    if (windows.length === limit || seriesCount++ === SERIES_PER_PAGE_MAX) {
      return { windows, next: { partition, key, start: from } }
    }
    for await (const { start, aggregate } of readWindows(series, { ...range, from }, context)) {
      if (windows.length === limit) return { windows, next: { partition, key, start } }
      windows.push(aggregate)
    }
  }
  return { windows, next: null }
}

/**
 * The start (ms since 1970) of the first window of a series in a range that starts at `notBefore`
 * or later; null when there is no such window.
 */
export async function readFirstWindowStart(
  series: ListedSeries,
  range: WindowRange,
  notBefore: number,
  context: ApiContext,
): Promise<number | null> {
  for await (const { start } of readWindows(series, range, context)) {
    if (start >= notBefore) return start
  }
  return null
}
