import { setImmediate as nextTurn } from 'node:timers/promises'
import { keyOf, keysWithPrefix, lastTimeOfKey, partsOf, timeOfKeyPart } from '../state/row-keys.ts'
import type { PartitionState } from '../state/state.ts'
import { windowBoundsOf } from './memory/window-cache.ts'
import { kwhPerUnit } from './model/aggregate.ts'
import { type Block, packBlock, unpackBlock } from './model/block.ts'
import type { Calendars } from './model/calendar.ts'
import { createMeterState, type MeterState } from './model/meter.ts'
import { copyOf, meterAfter } from './model/quarter.ts'
import {
  type DeviceName,
  pointsBetween,
  type SeriesAttributes,
  timerKey,
  windowKey,
  windowsBetween,
} from './model/series.ts'
import { emptyWindow, packWindow, publicationOf, type Window } from './model/window.ts'
import { mergeParts } from './model/window-parts.ts'
import {
  type LongWindowSize,
  longWindowSizes,
  sourceSizeOf,
  type WindowSize,
  windowLengthMs,
} from './model/window-sizes.ts'
import { emptyStatus, type StatusCounts, statusKey } from './partition-status.ts'
import type { SeriesCatalogue } from './series-catalogue.ts'

const LAYOUT_KEY = keyOf('layout')
/** Rises when stored points or windows get another meaning. */
const LAYOUT_VERSION = 2
const BLOCKS_AT_ONCE = 64
const FOREVER = Number.MAX_SAFE_INTEGER

export type LayoutContext = {
  catalogue: SeriesCatalogue
  calendars: Calendars
  holdMaxMs: number
  publish: readonly WindowSize[]
}

/** The layout of a state: equal texts for equal layouts. */
const layoutText = ({ zones: { timeZone, siteTimeZones } }: Calendars): string =>
  JSON.stringify({
    version: LAYOUT_VERSION,
    timeZone,
    siteTimeZones: siteTimeZones.map(({ site, timeZone }) => [site, timeZone]).sort(),
    sizes: longWindowSizes.map(size => [size, windowLengthMs(size), sourceSizeOf(size)]),
  })

/** Why the windows of a partition cannot be read now, or null. */
export async function layoutFault(
  state: Pick<PartitionState, 'get' | 'range'>,
  calendars: Calendars,
): Promise<string | null> {
  const [row] = await state.get([LAYOUT_KEY])
  if (row?.toString() === layoutText(calendars)) return null
  const [series] = await state.range({ ...keysWithPrefix('series'), limit: 1 })
  if (!row && !series) return null
  return 'the state has windows of another version or of other time zones: analytics rebuilds them'
}

/**
 * Rebuilds what follows from the points of a state: windows with the bounds of the configured time
 * zones, and the judgement of meters. Does nothing for a state of the present layout. Windows that
 * stay keep how often they were published; new windows get timers. Commits device by device. After
 * a crash the rebuild begins again, with the same result.
 */
export async function rebuildOldLayout(
  state: PartitionState,
  context: LayoutContext,
): Promise<void> {
  const [row] = await state.get([LAYOUT_KEY])
  const layout = layoutText(context.calendars)
  if (row?.toString() === layout) return
  await removeForeignTimers(state, context.calendars)
  for (const { name, metrics } of context.catalogue.devices()) {
    await rebuildDevice(state, name, metrics, context)
  }
  const rows = new Map([[LAYOUT_KEY, Buffer.from(layout)]])
  const [status] = await state.get([statusKey])
  if (!status) rows.set(statusKey, Buffer.from(JSON.stringify(await countPending(state))))
  await state.commit({ rows })
}

/** Removes the timers of windows that do not exist in the calendar of their site. */
async function removeForeignTimers(state: PartitionState, calendars: Calendars): Promise<void> {
  const rows = new Map<string, null>()
  for (const { key } of await state.range(keysWithPrefix('due'))) {
    const [, endPart, size, site] = partsOf(key) as [string, string, WindowSize, string]
    const end = timeOfKeyPart(endPart)
    const [lengthMs, calendar] = [windowLengthMs(size), calendars.of(site)]
    if (calendar.endOf(lengthMs, calendar.startOf(lengthMs, end - 1)) !== end) rows.set(key, null)
  }
  if (rows.size > 0) await state.commit({ rows })
}

/** The windows of a series that are being rebuilt, by size. */
type Rebuilt = Map<LongWindowSize, Window>

async function rebuildDevice(
  state: PartitionState,
  name: DeviceName,
  metrics: ReadonlyMap<string, SeriesAttributes>,
  { calendars, holdMaxMs, publish }: LayoutContext,
): Promise<void> {
  const calendar = calendars.of(name.site)
  const meters = new Map<string, MeterState>()
  const windows = new Map<string, Rebuilt>([...metrics.keys()].map(metric => [metric, new Map()]))
  const old = await readOldWindows(state, name, metrics)
  // Written last, because the old rows say how often the windows were published.
  const windowRows = new Map<string, Buffer | null>([...old.keys()].map(key => [key, null]))
  const blockRows = new Map<string, Buffer>()
  const writeWindow = (window: Window, isOpen: boolean) => {
    const key = windowKey(window.series, window.size, window.start)
    Object.assign(window, old.get(key))
    if (!isOpen || window.publishedCount > 0) windowRows.set(key, packWindow(window))
    if (window.publishedCount > 0 || !publish.includes(window.size)) return
    windowRows.set(timerKey(name, window.size, window.end), Buffer.alloc(0))
  }
  const addBlock = (block: Block) => {
    for (const [metric, quarter] of block.quarters) {
      const isMeter = kwhPerUnit(metric, metrics.get(metric)!) !== null
      quarter.meter = isMeter ? copyOf(meters.get(metric) ?? createMeterState()) : null
      if (isMeter) meters.set(metric, meterAfter(quarter)!)
      const ofMetric = windows.get(metric)!
      for (const size of longWindowSizes) {
        const bounds = windowBoundsOf(calendar, size, quarter.start)
        let window = ofMetric.get(size)
        if (window && window.start !== bounds.start) writeWindow(window, false)
        if (window?.start !== bounds.start) {
          window = emptyWindow({ ...name, metric }, size, bounds, quarter.before)
          ofMetric.set(size, window)
        }
        Object.assign(window!, mergeParts([window!, quarter], holdMaxMs))
      }
    }
  }
  for await (const { key, block, endsElsewhere } of readBlocks(state, name)) {
    addBlock(block)
    blockRows.set(key, packBlock(block, endsElsewhere))
    if (blockRows.size < BLOCKS_AT_ONCE) continue
    await state.commit({ rows: new Map(blockRows) })
    blockRows.clear()
  }
  for (const ofMetric of windows.values()) {
    for (const window of ofMetric.values()) writeWindow(window, true)
  }
  await state.commit({ rows: new Map([...blockRows, ...windowRows]) })
}

/** How often each stored window of a device was published, by the key of its row. */
async function readOldWindows(
  state: PartitionState,
  name: DeviceName,
  metrics: ReadonlyMap<string, SeriesAttributes>,
) {
  const old = new Map<string, ReturnType<typeof publicationOf>>()
  for (const metric of metrics.keys()) {
    for (const size of longWindowSizes) {
      const range = windowsBetween({ ...name, metric }, size, 0, FOREVER)
      for (const { key, value } of await state.range(range)) old.set(key, publicationOf(value))
    }
  }
  return old
}

/** The blocks of a device in order of time, each with what its row says about other blocks. */
async function* readBlocks(state: PartitionState, name: DeviceName) {
  for (let from = 0; ; ) {
    const rows = await state.range({ ...pointsBetween(name, from, FOREVER), limit: BLOCKS_AT_ONCE })
    for (const { key, value } of rows) {
      const start = lastTimeOfKey(key)
      from = start + 1
      const { block, endBlockStarts } = unpackBlock(start, value)
      yield { key, block, endsElsewhere: [...endBlockStarts].filter(([, end]) => end !== start) }
    }
    if (rows.length < BLOCKS_AT_ONCE) return
    // A long rebuild leaves the thread to the heartbeats of the group.
    await nextTurn()
  }
}

async function countPending(state: PartitionState): Promise<StatusCounts> {
  const status = emptyStatus()
  for (const { value } of await state.range(keysWithPrefix('held'))) {
    const { event, heardAt } = JSON.parse(value.toString())
    const pending = status.pending[event.gateway] ?? { readings: 0, since: heardAt }
    status.pending[event.gateway] = pending
    pending.readings++
    pending.since = Math.min(pending.since, heardAt)
  }
  return status
}
