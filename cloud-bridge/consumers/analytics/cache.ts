import type { PartitionState } from '../state/state.ts'
import type { Series } from './at-work.ts'
import { type Bundle, bundleKey, type MinuteRow, minuteIn, minuteKey, unpackRow } from './bundle.ts'
import { minutesOf, timeOfKey } from './minutes.ts'
import type { Point } from './piece.ts'
import { lastOf, type Minute } from './points.ts'
import { fill } from './rebuild.ts'
import {
  type SeriesAbout,
  type SeriesName,
  type Size,
  sizeNames,
  sizes,
  startOf,
  windowKey,
  windowsBetween,
} from './series.ts'
import { emptyWindow, unpackWindow, type Window } from './window.ts'

const SERIES_KEPT_MAX = 20_000
/** Those in which no series ends: what was left lately is what is told next. */
const WINDOWS_KEPT_MAX = 2000
const FOREVER = Number.MAX_SAFE_INTEGER

type Reads = Pick<PartitionState, 'get' | 'range'>

/** The series of a device that are in memory, by metric, and what they share. */
type Device = { series: Map<string, Series>; bundles: Map<string, Bundle> }

/**
 * What of the state of a partition is in memory: series with the windows in which they end, and
 * other windows that late points need. All that is here is as it will be committed.
 */
export class Cache {
  #series = 0
  /** By site, zone and device. */
  readonly #places = new Map<string, Map<string, Map<string, Device>>>()
  /** Those in which no series ends. */
  readonly #windows = new Map<string, Window | null>()
  readonly #state: Reads
  readonly #holdMaxMs: number

  constructor(state: Reads, holdMaxMs: number) {
    this.#state = state
    this.#holdMaxMs = holdMaxMs
  }

  /** The series of a device that are in memory, by metric. */
  seriesOf(place: Omit<SeriesName, 'metric'>): ReadonlyMap<string, Series> | undefined {
    return this.#deviceOf(place)?.series
  }

  /** A series in memory. */
  series(name: SeriesName): Series | undefined {
    return this.seriesOf(name)?.get(name.metric)
  }

  #deviceOf({ site, zone, device }: Omit<SeriesName, 'metric'>): Device | undefined {
    return this.#places.get(site)?.get(zone)?.get(device)
  }

  /** A series that has no points yet, nor has its bundle if that is not in memory. */
  begin({ site, zone, device, metric }: SeriesName, about: SeriesAbout): Series {
    const own = this.#deviceOf({ site, zone, device }) ?? { series: new Map(), bundles: new Map() }
    const name = { site, zone, device, metric }
    const bundle = own.bundles.get(about.bundle) ?? {
      ...{ key: bundleKey(name, about.bundle), rows: new Map(), furthest: 0 },
    }
    own.bundles.set(about.bundle, bundle)
    const series: Series = {
      ...{ site, zone, device, metric, about, bundle, last: null, row: null, minute: null },
      ...{ open: [], planned: null, late: [], isNew: true },
    }
    own.series.set(metric, series)
    const zones = this.#places.get(site) ?? new Map<string, Map<string, Device>>()
    this.#places.set(site, zones)
    const devices = zones.get(zone) ?? new Map<string, Device>()
    zones.set(zone, devices)
    devices.set(device, own)
    this.#series++
    return series
  }

  /** To be called when all is committed: lets go of what is not needed now. */
  shrink(): void {
    if (this.#windows.size > WINDOWS_KEPT_MAX) this.#windows.clear()
    if (this.#series <= SERIES_KEPT_MAX) return
    this.#series = 0
    this.#places.clear()
    this.#windows.clear()
  }

  /** Reads a series that is listed: where it ends, and the windows in which that is. */
  async loadSeries(name: SeriesName, about: SeriesAbout): Promise<Series> {
    const bundle = this.#deviceOf(name)?.bundles.get(about.bundle)
    const furthest = bundle?.furthest ?? (await this.#furthestOf(bundleKey(name, about.bundle)))
    const newest = { from: 0, to: FOREVER, limit: 1, backwards: true }
    const [minute] = await minutesOf(this.#state, name, about, newest)
    const series = this.begin(name, about)
    series.isNew = false
    series.bundle.furthest = Math.max(series.bundle.furthest, furthest)
    if (!minute) return series
    await this.#loadRow(series.bundle, minute.start)
    series.row = series.bundle.rows.get(minute.start)!
    series.row.ends++
    series.minute = minuteIn(series.row, series.metric)
    series.last = lastOf(series.minute)
    series.planned = series.last
    await this.#openWindows(series, series.last)
    return series
  }

  async #furthestOf(key: string): Promise<number> {
    const all = { from: minuteKey(key, 0), to: minuteKey(key, FOREVER) }
    const [newest] = await this.#state.range({ ...all, limit: 1, backwards: true })
    return newest ? timeOfKey(newest.key) : 0
  }

  /**
   * Reads minutes of bundles into which points will come, where they are not in memory; gives
   * those.
   */
  async loadRows(wanted: readonly { bundle: Bundle; start: number }[]) {
    const read: { bundle: Bundle; row: MinuteRow }[] = []
    for (const { bundle, start } of wanted) {
      const row = await this.#loadRow(bundle, start)
      if (row) read.push({ bundle, row })
    }
    return read
  }

  async #loadRow(bundle: Bundle, start: number): Promise<MinuteRow | null> {
    if (bundle.rows.has(start)) return null
    const [value] = await this.#state.get([minuteKey(bundle.key, start)])
    if (!value) return null
    const row = { start, minutes: unpackRow(start, value), ends: 0, isChanged: false }
    bundle.rows.set(start, row)
    return row
  }

  /** The windows in which a series ends: as they were told, or made of what is in them. */
  async #openWindows(series: Series, { at }: Point): Promise<void> {
    const [quarter, hour, day] = sizeNames.map(size => startOf(size, at)) as [
      number,
      number,
      number,
    ]
    await this.loadWindows(
      sizeNames.map(size => ({ name: series, size, start: startOf(size, at) })),
    )
    await this.loadWindowsBetween(series, '15m', hour, hour + sizes['1h'])
    await this.loadWindowsBetween(series, '1h', day, day + sizes['1d'])
    const around = await this.minutesAround(series, quarter, quarter + sizes['15m'])
    const minutes = new Map(around.map(minute => [minute.start, minute]))
    minutes.set(series.minute!.start, series.minute!)
    const previous = around.findLast(({ start }) => start < quarter)
    const before = previous ? lastOf(previous) : null
    const windowAt = (size: Size, moment: number) => this.windowAt(series, size, moment)
    for (const [index, size] of sizeNames.entries()) {
      let window = this.find(series, size, startOf(size, at))
      if (!window) {
        window = emptyWindow(series, size, startOf(size, at), before)
        fill(window, minutes, windowAt, this.#holdMaxMs)
      }
      window.isLeft = false
      series.open[index] = window
    }
  }

  async loadWindows(
    wanted: readonly { name: SeriesName; size: Size; start: number }[],
  ): Promise<void> {
    const missing = wanted.filter(({ name, size, start }) => !this.#has(name, size, start))
    if (missing.length === 0) return
    const keys = missing.map(({ name, size, start }) => windowKey(name, size, start))
    const values = await this.#state.get(keys)
    for (const [at, { name, size, start }] of missing.entries()) {
      const value = values[at]
      this.#windows.set(keys[at]!, value ? unpackWindow(name, size, start, value) : null)
    }
  }

  /** The windows of one size that begin between two moments. */
  async loadWindowsBetween(name: SeriesName, size: Size, from: number, to: number): Promise<void> {
    const starts: number[] = []
    for (let start = from; start < to; start += sizes[size]) starts.push(start)
    if (starts.every(start => this.#has(name, size, start))) return
    const rows = await this.#state.range(windowsBetween(name, size, from, to))
    const values = new Map(rows.map(({ key, value }) => [key, value]))
    for (const start of starts) {
      if (this.#has(name, size, start)) continue
      const key = windowKey(name, size, start)
      const value = values.get(key)
      this.#windows.set(key, value ? unpackWindow(name, size, start, value) : null)
    }
  }

  #has(name: SeriesName, size: Size, start: number): boolean {
    return this.#open(name, size, start) !== null || this.#windows.has(windowKey(name, size, start))
  }

  #open(name: SeriesName, size: Size, start: number): Window | null {
    const window = this.series(name)?.open[sizeNames.indexOf(size)]
    return window?.start === start ? window : null
  }

  /** A window that is in memory, or null when there is none. */
  find(name: SeriesName, size: Size, start: number): Window | null {
    const open = this.#open(name, size, start)
    return open ?? this.#windows.get(windowKey(name, size, start)) ?? null
  }

  /** The window of a series in which a moment is, or null when there is none. */
  windowAt(series: Series, size: Size, at: number): Window | null {
    return this.find(series, size, startOf(size, at))
  }

  /** Keeps a window in which its series does not end. */
  keep(window: Window): void {
    this.#windows.set(windowKey(window.series, window.size, window.start), window)
  }

  /** The minutes of a series between two moments, the nearest one before and the one behind. */
  async minutesAround(series: Series, from: number, to: number): Promise<Minute[]> {
    const read = (between: Parameters<typeof minutesOf>[3]) =>
      minutesOf(this.#state, series, series.about, between)
    const before = await read({ from: 0, to: from, limit: 1, backwards: true })
    const behind = await read({ from: to, to: FOREVER, limit: 1 })
    return [...before, ...(await read({ from, to })), ...behind]
  }
}

/** Whether a point goes behind the last one of its series. */
export function isAtEnd(last: Point | null, { at, value }: Point): boolean {
  return !last || at > last.at || (at === last.at && value >= last.value)
}
