import { partsOf, timeIn } from '../state/keys.ts'
import type { PartitionState } from '../state/state.ts'
import type { Series } from './at-work.ts'
import type { Point } from './piece.ts'
import { type Minute, unpackPoints } from './points.ts'
import { fill } from './rebuild.ts'
import {
  minutesBetween,
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
const WINDOWS_KEPT_MAX = 50_000
const FOREVER = Number.MAX_SAFE_INTEGER

const NONE: ReadonlyMap<string, Series> = new Map()

type Reads = Pick<PartitionState, 'get' | 'range'>

/**
 * What of the state of a partition is in memory: series with the windows in which they end, and
 * other windows that late points need. All that is here is as it will be committed.
 */
export class Cache {
  #series = 0
  /** By site, zone, device and metric. */
  readonly #places = new Map<string, Map<string, Map<string, Map<string, Series>>>>()
  readonly #windows = new Map<string, Window | null>()
  readonly #state: Reads
  readonly #holdMaxMs: number

  constructor(state: Reads, holdMaxMs: number) {
    this.#state = state
    this.#holdMaxMs = holdMaxMs
  }

  /** The series of a device that are in memory, by metric. */
  seriesOf({ site, zone, device }: Omit<SeriesName, 'metric'>): ReadonlyMap<string, Series> {
    return this.#places.get(site)?.get(zone)?.get(device) ?? NONE
  }

  /** A series that has no points yet. */
  begin({ site, zone, device, metric }: SeriesName, about: SeriesAbout): Series {
    const series: Series = {
      ...{ site, zone, device, metric, about },
      ...{ last: null, minute: null, open: [], planned: null, late: [], isNew: true },
    }
    const zones = this.#places.get(site) ?? new Map<string, Map<string, Map<string, Series>>>()
    this.#places.set(site, zones)
    const devices = zones.get(zone) ?? new Map<string, Map<string, Series>>()
    zones.set(zone, devices)
    const metrics = devices.get(device) ?? new Map<string, Series>()
    devices.set(device, metrics)
    metrics.set(metric, series)
    this.#series++
    return series
  }

  /** To be called when all is committed: lets go of what is not needed now. */
  shrink(): void {
    if (this.#series <= SERIES_KEPT_MAX && this.#windows.size <= WINDOWS_KEPT_MAX) return
    // Together, because an open window must be the same object in both.
    this.#series = 0
    this.#places.clear()
    this.#windows.clear()
  }

  /** Reads a series that has points: where it ends, and the windows in which that is. */
  async loadSeries(name: SeriesName, about: SeriesAbout): Promise<Series> {
    const series = this.begin(name, about)
    series.isNew = false
    const span = { ...minutesBetween(name, 0, FOREVER), limit: 1, backwards: true }
    const [row] = await this.#state.range(span)
    if (!row) return series
    series.minute = minuteIn(row)
    series.last = series.minute.points.at(-1)!
    series.planned = series.last
    await this.#openWindows(series, series.last)
    return series
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
    const before = around.findLast(({ start }) => start < quarter)?.points.at(-1) ?? null
    const windowAt = (size: Size, moment: number) => this.windowAt(series, size, moment)
    for (const [index, size] of sizeNames.entries()) {
      let window = this.find(series, size, startOf(size, at))
      if (!window) {
        window = emptyWindow(series, size, startOf(size, at), before)
        fill(window, minutes, windowAt, this.#holdMaxMs)
        this.keep(window)
      }
      window.isLeft = false
      series.open[index] = window
    }
  }

  async loadWindows(
    wanted: readonly { name: SeriesName; size: Size; start: number }[],
  ): Promise<void> {
    const missing = wanted.filter(
      ({ name, size, start }) => !this.#windows.has(windowKey(name, size, start)),
    )
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
    if (starts.every(start => this.#windows.has(windowKey(name, size, start)))) return
    const rows = await this.#state.range(windowsBetween(name, size, from, to))
    const values = new Map(rows.map(({ key, value }) => [key, value]))
    for (const start of starts) {
      const key = windowKey(name, size, start)
      if (this.#windows.has(key)) continue
      const value = values.get(key)
      this.#windows.set(key, value ? unpackWindow(name, size, start, value) : null)
    }
  }

  /** A window that is in memory, or null when there is none. */
  find(name: SeriesName, size: Size, start: number): Window | null {
    return this.#windows.get(windowKey(name, size, start)) ?? null
  }

  /** The window of a series in which a moment is, or null when there is none. */
  windowAt(series: Series, size: Size, at: number): Window | null {
    const start = startOf(size, at)
    const open = series.open[sizeNames.indexOf(size)]
    return open?.start === start ? open : this.find(series, size, start)
  }

  keep(window: Window): void {
    this.#windows.set(windowKey(window.series, window.size, window.start), window)
  }

  /** The minutes of a series between two moments, the nearest one before and the one behind. */
  async minutesAround(name: SeriesName, from: number, to: number): Promise<Minute[]> {
    const rows = await this.#state.range(minutesBetween(name, from, to))
    const before = await this.#state.range({
      ...minutesBetween(name, 0, from),
      limit: 1,
      backwards: true,
    })
    const behind = await this.#state.range({ ...minutesBetween(name, to, FOREVER), limit: 1 })
    return [...before, ...rows, ...behind].map(minuteIn)
  }
}

function minuteIn({ key, value }: { key: string; value: Buffer }): Minute {
  return unpackPoints(timeIn(partsOf(key).at(-1)!), value)
}

/** Whether a point goes behind the last one of its series. */
export function isAtEnd(last: Point | null, { at, value }: Point): boolean {
  return !last || at > last.at || (at === last.at && value >= last.value)
}
