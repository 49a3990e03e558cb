import { lastTimeOfKey } from '../../state/row-keys.ts'
import { StateCache } from '../memory/state-cache.ts'
import { windowBoundsOf } from '../memory/window-cache.ts'
import type { ActiveSeries } from '../model/active-series.ts'
import type { Calendar } from '../model/calendar.ts'
import {
  type CompleteWindow,
  completeLongWindow,
  completeQuarter,
  lastPointIn,
  windowWithoutPoints,
} from '../model/complete-window.ts'
import { mergePartialAggregates } from '../model/partial-aggregate.ts'
import { windowsBetween } from '../model/series.ts'
import { mergeInto } from '../model/sketch.ts'
import { unpackWindow } from '../model/window.ts'
import {
  BASE_SIZE,
  type LongWindowSize,
  type WindowSize,
  windowLengthMs,
} from '../model/window-sizes.ts'
import { readPointRange, readQuarters, type TimeRange } from './quarters.ts'
import { createYielder, type ListedSeries } from './series-list.ts'
import { type ApiContext, calendarFor, type WindowRange } from './window-range.ts'

const WINDOWS_AT_ONCE = 500
const HOUR = '1h'

/**
 * The committed windows of one series with all their points, in order of time. A window without
 * points is among them while the value before still counts in it.
 */
export async function* readCompleteWindows(
  series: ListedSeries,
  range: WindowRange<WindowSize>,
  context: ApiContext,
): AsyncGenerator<CompleteWindow> {
  const { holdMaxMs } = context
  const { size, to } = range
  const lengthMs = windowLengthMs(size)
  const calendar = calendarFor(series, range, context)
  const first = calendar.startOf(lengthMs, range.from)
  // A value before the range can still count in the range.
  const from = calendar.startOf(lengthMs, Math.max(0, first - holdMaxMs))
  let previous: CompleteWindow | null = null
  const heldUntil = function* (until: number): Generator<CompleteWindow> {
    const last = previous && lastPointIn(previous)
    if (!previous || !last) return
    const end = Math.min(until, last.at + holdMaxMs)
    for (let start = previous.end; start < end; start = calendar.endOf(lengthMs, start)) {
      const bounds = { start, end: calendar.endOf(lengthMs, start) }
      if (start >= first) yield windowWithoutPoints(series.name, size, bounds, last)
    }
  }
  for await (const window of readWithPoints(series, { ...range, from, to }, context)) {
    yield* heldUntil(window.start)
    if (window.start >= first) yield window
    previous = window
  }
  yield* heldUntil(to)
}

/** The windows with points, in the calendar of the range. */
function readWithPoints(
  series: ListedSeries,
  range: WindowRange<WindowSize>,
  context: ApiContext,
): AsyncGenerator<CompleteWindow> {
  const { size } = range
  if (size === BASE_SIZE) return readQuarterWindows(series, range, context)
  const calendar = calendarFor(series, range, context)
  const stored = context.calendars.of(series.name.site)
  if (calendar.timeZone === stored.timeZone) return readStored(series, size, range, context)
  return readMerged(series, { ...range, size, calendar }, context)
}

async function* readQuarterWindows(
  series: ListedSeries,
  range: TimeRange,
  { holdMaxMs }: ApiContext,
): AsyncGenerator<CompleteWindow> {
  for await (const quarter of readQuarters(series, range)) {
    yield completeQuarter(series.name, quarter, holdMaxMs)
  }
}

/** Windows of another calendar: merged from the stored hours, or from quarters of an hour. */
async function* readMerged(
  series: ListedSeries,
  range: WindowRange<LongWindowSize> & { calendar: Calendar },
  context: ApiContext,
): AsyncGenerator<CompleteWindow> {
  const { size, calendar } = range
  const lengthMs = windowLengthMs(size)
  const endOf = (at: number) => calendar.endOf(lengthMs, calendar.startOf(lengthMs, at))
  const points = await readPointRange(series, { from: range.from, to: endOf(range.to - 1) })
  if (!points) return
  const from = calendar.startOf(lengthMs, points.from)
  const to = endOf(points.to - 1)
  const hasHours = await hoursFit(context.calendars.of(series.name.site), { ...range, from, to })
  const parts = hasHours
    ? readStored(series, HOUR, { from, to }, context)
    : readQuarterWindows(series, { from, to }, context)
  let merged: CompleteWindow | null = null
  for await (const part of parts) {
    if (merged && part.start < merged.end) {
      merged.partial = mergePartialAggregates(merged.partial!, part.partial!, context.holdMaxMs)
      mergeInto(merged.sketch, part.sketch)
      merged.amended += part.amended
      continue
    }
    if (merged) yield merged
    merged = { ...part, size, ...windowBoundsOf(calendar, size, part.start) }
  }
  if (merged) yield merged
}

/**
 * Whether all windows of the range consist of whole stored hours. The check takes a step for each
 * window, so the range should have points from its first window to its last.
 */
async function hoursFit(
  stored: Calendar,
  { size, calendar, from, to }: WindowRange<LongWindowSize> & { calendar: Calendar },
): Promise<boolean> {
  if (size === HOUR) return false
  const hourMs = windowLengthMs(HOUR)
  const yieldIfBusy = createYielder()
  for (let start = from; start < to; start = calendar.endOf(windowLengthMs(size), start)) {
    if (stored.startOf(hourMs, start) !== start) return false
    await yieldIfBusy()
  }
  return true
}

async function* readStored(
  listed: ListedSeries,
  size: LongWindowSize,
  { from, to }: TimeRange,
  context: ApiContext,
): AsyncGenerator<CompleteWindow> {
  const { holdMaxMs, calendars } = context
  // The open windows are read before the rows, so a window that closes in between is among the
  // rows.
  const series = await readSeriesEnd(listed, context)
  const { reader, name } = listed
  const calendar = calendars.of(name.site)
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
      const bounds = windowBoundsOf(calendar, size, start)
      yield completeLongWindow(unpackWindow(name, size, bounds, value), null, holdMaxMs)
    }
    if (rows.length < WINDOWS_AT_ONCE) break
  }
  if (open) yield completeLongWindow(open, series, holdMaxMs)
}

/** A series with the windows that contain its last point. */
async function readSeriesEnd(
  { reader, name, attributes }: ListedSeries,
  { holdMaxMs, calendars }: ApiContext,
): Promise<ActiveSeries> {
  const cache = new StateCache(reader, holdMaxMs, calendars)
  return cache.loadSeries(await cache.loadDevice(name), name.metric, attributes)
}
