import { lastTimeOfKey } from '../../state/row-keys.ts'
import type { ConsumerStateAccess } from '../../state/state.ts'
import { StateCache } from '../memory/state-cache.ts'
import type { ActiveSeries } from '../model/active-series.ts'
import { type Aggregate, aggregateOf, aggregateOfMinute, type Minute } from '../model/aggregate.ts'
import { unpackBlock } from '../model/block.ts'
import { partialAggregateOf, type Quarter } from '../model/chunk.ts'
import {
  type CompleteWindow,
  completeLongWindow,
  completeQuarter,
} from '../model/complete-window.ts'
import {
  type LongWindowSize,
  pointsBetween,
  startOf,
  windowSizesMs,
  windowsBetween,
} from '../model/series.ts'
import { mergeInto, type Sketch } from '../model/sketch.ts'
import { unpackWindow } from '../model/window.ts'
import type { ApiWindowSize } from './query.ts'
import {
  isCursorInSeries,
  type ListedSeries,
  listSeries,
  type PageCursor,
  type SeriesFilter,
} from './series-list.ts'

const MINUTE_MS = 60_000
/** So many series are looked at for one page, whether they have something for it or not. */
const LOOKED_AT_MAX = 2000
const BLOCKS_AT_ONCE = 32
const WINDOWS_AT_ONCE = 500

export const windowLengthMs = (size: ApiWindowSize) =>
  size === '1m' ? MINUTE_MS : windowSizesMs[size]

/** What is asked of windows: those in which some of the time from `from` to before `to` lies. */
export type WindowRange<S extends ApiWindowSize = ApiWindowSize> = {
  size: S
  from: number
  to: number
}

/** A window of a series: what is told of it, and how its values join others in percentiles. */
export type WindowResult = { start: number; aggregate: Aggregate; addTo(sketch: Sketch): void }

/** The windows of one series in order of time, as they are committed, at most so many. */
export async function readWindows(
  listed: ListedSeries,
  wanted: WindowRange,
  limit: number,
  holdMaxMs: number,
): Promise<WindowResult[]> {
  if (wanted.size === '1m') return minutesOf(listed, wanted, limit, holdMaxMs)
  const told: WindowResult[] = []
  for await (const whole of readCompleteWindows(
    listed,
    { ...wanted, size: wanted.size },
    holdMaxMs,
  )) {
    if (told.length === limit) break
    const aggregate = aggregateOf(whole, listed.about, holdMaxMs)
    const addTo = (sketch: Sketch) => mergeInto(sketch, whole.sketch)
    told.push({ start: whole.start, aggregate, addTo })
  }
  return told
}

/** All that is in the windows of one series, in order of time. */
export async function* readCompleteWindows(
  listed: ListedSeries,
  { size, from, to }: WindowRange<CompleteWindow['size']>,
  holdMaxMs: number,
): AsyncGenerator<CompleteWindow> {
  const span = { from: startOf(size, from), to }
  if (size !== '15m') {
    yield* longOf(listed, size, span, holdMaxMs)
    return
  }
  for await (const quarter of quartersOf(listed, span)) {
    yield completeQuarter(listed.name, quarter, holdMaxMs)
  }
}

type Span = { from: number; to: number }

async function* longOf(
  listed: ListedSeries,
  size: LongWindowSize,
  { from, to }: Span,
  holdMaxMs: number,
): AsyncGenerator<CompleteWindow> {
  // Before the rows: if its series leaves it meanwhile, it is among them.
  const series = await endOf(listed, holdMaxMs)
  const { reader, name } = listed
  const last = size === '1h' ? series.hour : series.day
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
      // One that was told before it was left has a row, of the parts of it that were left.
      if (start === last?.start) continue
      yield completeLongWindow(unpackWindow(name, size, start, value), null, holdMaxMs)
    }
    if (rows.length < WINDOWS_AT_ONCE) break
  }
  if (open) yield completeLongWindow(open, series, holdMaxMs)
}

/** A series with the windows in which it ends. */
async function endOf(
  { reader, name, about }: ListedSeries,
  holdMaxMs: number,
): Promise<ActiveSeries> {
  const cache = new StateCache(reader, holdMaxMs)
  return cache.series(await cache.device(name), name.metric, about)
}

/** The quarters of a series that begin in a span of time; none behind its end is looked for. */
async function* quartersOf(
  { reader, name }: ListedSeries,
  { from, to }: Span,
): AsyncGenerator<Quarter> {
  for (let begin = startOf('15m', from); ; ) {
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

/** When the first window that is wanted of a series begins; null: there is none. */
export async function readFirstWindowStart(
  listed: ListedSeries,
  wanted: WindowRange,
): Promise<number | null> {
  const { size, from, to } = wanted
  const ms = windowLengthMs(size)
  const begin = Math.floor(from / ms) * ms
  const end = (Math.floor((to - 1) / ms) + 1) * ms
  for await (const { at } of quartersOf(listed, { from: begin, to: end })) {
    const first = at.find(moment => moment >= begin && moment < end)
    if (first !== undefined) return Math.floor(first / ms) * ms
  }
  return null
}

async function minutesOf(
  listed: ListedSeries,
  { from, to }: Span,
  limit: number,
  holdMaxMs: number,
): Promise<WindowResult[]> {
  const { name, about } = listed
  const span = { from: Math.floor(from / MINUTE_MS) * MINUTE_MS, to }
  const told: WindowResult[] = []
  for await (const quarter of quartersOf(listed, span)) {
    for (const minute of minutesIn(quarter, holdMaxMs)) {
      if (minute.start < span.from || minute.start >= to) continue
      if (told.length === limit) return told
      const aggregate = aggregateOfMinute(name, about, minute, holdMaxMs)
      const addTo = (sketch: Sketch) => {
        for (const value of minute.values) sketch.accept(value)
      }
      told.push({ start: minute.start, aggregate, addTo })
    }
  }
  return told
}

function* minutesIn(quarter: Quarter, holdMaxMs: number): Generator<Minute> {
  const { at, values } = quarter
  let { before } = quarter
  for (let from = 0, to = 0; from < at.length; from = to) {
    const start = Math.floor(at[from]! / MINUTE_MS) * MINUTE_MS
    while (to < at.length && at[to]! < start + MINUTE_MS) to++
    const piece = partialAggregateOf(quarter, holdMaxMs, { from, to })
    yield { start, piece, values: values.slice(from, to), before }
    before = { at: piece.lastAt, value: piece.last }
  }
}

export type WindowPage = { windows: WindowResult[]; next: PageCursor | null }

/** The windows that are wanted, series by series, from a place on; `next` is where to go on. */
export async function readWindowPage(
  state: ConsumerStateAccess,
  { filter, place, limit, ...wanted }: WindowRange & PageRequest,
  holdMaxMs: number,
): Promise<WindowPage> {
  const windows: WindowResult[] = []
  let lookedAt = 0
  for await (const listed of listSeries(state, filter, place)) {
    const { partition, key } = listed
    const from = isCursorInSeries(listed, place) ? Math.max(wanted.from, place!.start) : wanted.from
    if (windows.length === limit || lookedAt++ === LOOKED_AT_MAX) {
      return { windows, next: { partition, key, start: from } }
    }
    const left = limit - windows.length
    const found = await readWindows(listed, { ...wanted, from }, left + 1, holdMaxMs)
    windows.push(...found.slice(0, left))
    const beyond = found[left]
    if (beyond) return { windows, next: { partition, key, start: beyond.start } }
  }
  return { windows, next: null }
}

/** Of which series, from where on, and how many at most. */
export type PageRequest = { filter: SeriesFilter; place: PageCursor | null; limit: number }
