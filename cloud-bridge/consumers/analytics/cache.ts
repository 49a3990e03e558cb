import { partsOf, timeIn } from '../state/keys.ts'
import type { PartitionState } from '../state/state.ts'
import type { Point } from './piece.ts'
import { type Minute, unpackPoints } from './points.ts'
import {
  minutesBetween,
  type Series,
  type SeriesAbout,
  type SeriesName,
  type Size,
  sizeNames,
  sizes,
  startOf,
  windowKey,
  windowsBetween,
} from './series.ts'
import { unpackWindow, type Window } from './window.ts'

const SERIES_KEPT_MAX = 20_000
const WINDOWS_KEPT_MAX = 50_000
const FOREVER = Number.MAX_SAFE_INTEGER

type Reads = Pick<PartitionState, 'get' | 'range'>

/**
 * What of the state of a partition is in memory: series with the windows in which they end, and
 * other windows that late points need. All that is here is as it will be committed.
 */
export class Cache {
  readonly series = new Map<string, Series>()
  readonly #windows = new Map<string, Window | null>()
  readonly #state: Reads

  constructor(state: Reads) {
    this.#state = state
  }

  /** To be called when all is committed: lets go of what is not needed now. */
  shrink(): void {
    if (this.series.size > SERIES_KEPT_MAX) this.series.clear()
    if (this.#windows.size > WINDOWS_KEPT_MAX) this.#windows.clear()
  }

  /** Reads a series that has points: where it ends, and the windows in which that is. */
  async loadSeries(key: string, name: SeriesName, about: SeriesAbout): Promise<void> {
    const span = { ...minutesBetween(name, 0, FOREVER), limit: 1, backwards: true }
    const [row] = await this.#state.range(span)
    const series: Series = { ...name, about, last: null, minute: null, open: [] }
    if (row) {
      series.minute = minuteIn(row)
      series.last = series.minute.points.at(-1)!
      const { at } = series.last
      await this.loadWindows(sizeNames.map(size => ({ name, size, start: startOf(size, at) })))
      series.open = sizeNames.map(size => this.find(name, size, startOf(size, at)))
    }
    this.series.set(key, series)
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

/** Whether a point goes behind all that its series has. */
export function isAtEnd({ last }: Series, { at, value }: Point): boolean {
  return !last || at > last.at || (at === last.at && value >= last.value)
}
