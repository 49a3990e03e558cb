import { lastTimeIn } from '../../state/row-keys.ts'
import type { AnyVersion } from '../../state/state.ts'
import { Cache } from '../memory/state-cache.ts'
import type { Series } from '../model/active-series.ts'
import { type Aggregate, aggregateOf, aggregateOfMinute, type Minute } from '../model/aggregate.ts'
import { unpackBlock } from '../model/block.ts'
import { pieceIn, type Quarter } from '../model/chunk.ts'
import { type Whole, wholeQuarter, wholeWindow } from '../model/complete-window.ts'
import { type LongSize, pointsBetween, sizes, startOf, windowsBetween } from '../model/series.ts'
import { mergeInto, type Sketch } from '../model/sketch.ts'
import { unpackWindow } from '../model/window.ts'
import type { AskedSize } from './query.ts'
import { type Filter, isIn, type Listed, type Place, seriesIn } from './series-list.ts'

const MINUTE_MS = 60_000
/** So many series are looked at for one page, whether they have something for it or not. */
const LOOKED_AT_MAX = 2000
const BLOCKS_AT_ONCE = 32
const WINDOWS_AT_ONCE = 500

export const msOf = (size: AskedSize) => (size === '1m' ? MINUTE_MS : sizes[size])

/** What is asked of windows: those in which some of the time from `from` to before `to` lies. */
export type Wanted<S extends AskedSize = AskedSize> = { size: S; from: number; to: number }

/** A window of a series: what is told of it, and how its values join others in percentiles. */
export type Told = { start: number; aggregate: Aggregate; addTo(sketch: Sketch): void }

/** The windows of one series in order of time, as they are committed, at most so many. */
export async function windowsOf(
  listed: Listed,
  wanted: Wanted,
  limit: number,
  holdMaxMs: number,
): Promise<Told[]> {
  if (wanted.size === '1m') return minutesOf(listed, wanted, limit, holdMaxMs)
  const told: Told[] = []
  for await (const whole of wholesOf(listed, { ...wanted, size: wanted.size }, holdMaxMs)) {
    if (told.length === limit) break
    const aggregate = aggregateOf(whole, listed.about, holdMaxMs)
    const addTo = (sketch: Sketch) => mergeInto(sketch, whole.sketch)
    told.push({ start: whole.start, aggregate, addTo })
  }
  return told
}

/** All that is in the windows of one series, in order of time. */
export async function* wholesOf(
  listed: Listed,
  { size, from, to }: Wanted<Whole['size']>,
  holdMaxMs: number,
): AsyncGenerator<Whole> {
  const span = { from: startOf(size, from), to }
  if (size !== '15m') {
    yield* longOf(listed, size, span, holdMaxMs)
    return
  }
  for await (const quarter of quartersOf(listed, span)) {
    yield wholeQuarter(listed.name, quarter, holdMaxMs)
  }
}

type Span = { from: number; to: number }

async function* longOf(
  listed: Listed,
  size: LongSize,
  { from, to }: Span,
  holdMaxMs: number,
): AsyncGenerator<Whole> {
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
      const start = lastTimeIn(key)
      begin = start + 1
      if (open && start >= open.start) {
        yield wholeWindow(open, series, holdMaxMs)
        open = null
      }
      // One that was told before it was left has a row, of the parts of it that were left.
      if (start === last?.start) continue
      yield wholeWindow(unpackWindow(name, size, start, value), null, holdMaxMs)
    }
    if (rows.length < WINDOWS_AT_ONCE) break
  }
  if (open) yield wholeWindow(open, series, holdMaxMs)
}

/** A series with the windows in which it ends. */
async function endOf({ reader, name, about }: Listed, holdMaxMs: number): Promise<Series> {
  const cache = new Cache(reader, holdMaxMs)
  return cache.series(await cache.device(name), name.metric, about)
}

/** The quarters of a series that begin in a span of time; none behind its end is looked for. */
async function* quartersOf({ reader, name }: Listed, { from, to }: Span): AsyncGenerator<Quarter> {
  for (let begin = startOf('15m', from); ; ) {
    const rows = await reader.range({ ...pointsBetween(name, begin, to), limit: BLOCKS_AT_ONCE })
    for (const { key, value } of rows) {
      const start = lastTimeIn(key)
      begin = start + 1
      const quarter = unpackBlock(start, value).block.quarters.get(name.metric)
      if (quarter) yield quarter
    }
    if (rows.length < BLOCKS_AT_ONCE) return
  }
}

/** When the first window that is wanted of a series begins; null: there is none. */
export async function firstStartOf(listed: Listed, wanted: Wanted): Promise<number | null> {
  const { size, from, to } = wanted
  const ms = msOf(size)
  const begin = Math.floor(from / ms) * ms
  const end = (Math.floor((to - 1) / ms) + 1) * ms
  for await (const { at } of quartersOf(listed, { from: begin, to: end })) {
    const first = at.find(moment => moment >= begin && moment < end)
    if (first !== undefined) return Math.floor(first / ms) * ms
  }
  return null
}

async function minutesOf(
  listed: Listed,
  { from, to }: Span,
  limit: number,
  holdMaxMs: number,
): Promise<Told[]> {
  const { name, about } = listed
  const span = { from: Math.floor(from / MINUTE_MS) * MINUTE_MS, to }
  const told: Told[] = []
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
    const piece = pieceIn(quarter, holdMaxMs, { from, to })
    yield { start, piece, values: values.slice(from, to), before }
    before = { at: piece.lastAt, value: piece.last }
  }
}

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
