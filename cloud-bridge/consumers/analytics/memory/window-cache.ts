import type { PartitionState } from '../../state/state.ts'
import type { Calendar, Calendars } from '../model/calendar.ts'
import { type SeriesName, windowKey, windowsBetween } from '../model/series.ts'
import { type Bounds, unpackWindow, type Window } from '../model/window.ts'
import { type LongWindowSize, windowLengthMs } from '../model/window-sizes.ts'

/** With more closed windows than this in the cache, all closed windows are evicted. */
const CLOSED_KEPT_MAX = 1000

/**
 * The windows in memory: open windows, and further windows that were loaded. When a loaded window
 * has no row, null is cached. So a window without a cache entry was not loaded, and may have a row.
 */
export class WindowCache {
  readonly #windows = new Map<string, Window | null>()
  #closedCount = 0
  readonly #state: Pick<PartitionState, 'range'>
  readonly #calendars: Calendars

  constructor(state: Pick<PartitionState, 'range'>, calendars: Calendars) {
    this.#state = state
    this.#calendars = calendars
  }

  /** The bounds of the window of a series that contains a moment. */
  boundsOf({ site }: SeriesName, size: LongWindowSize, moment: number): Bounds {
    return windowBoundsOf(this.#calendars.of(site), size, moment)
  }

  /**
   * Loads all windows of a size that start at `from` or later and before `to`. A window starts at
   * `from`.
   */
  async load(name: SeriesName, size: LongWindowSize, from: number, to: number): Promise<void> {
    const missing: Bounds[] = []
    for (const bounds of this.#boundsBetween(name, size, from, to)) {
      if (!this.#windows.has(windowKey(name, size, bounds.start))) missing.push(bounds)
    }
    if (missing.length === 0) return
    const rows = await this.#state.range(windowsBetween(name, size, missing[0]!.start, to))
    const values = new Map(rows.map(({ key, value }) => [key, value]))
    for (const bounds of missing) {
      const key = windowKey(name, size, bounds.start)
      const value = values.get(key)
      this.#windows.set(key, value ? unpackWindow(name, size, bounds, value) : null)
      this.#closedCount++
    }
  }

  /** The window that contains a moment; null when there is none. Throws when it was not loaded. */
  at(name: SeriesName, size: LongWindowSize, moment: number): Window | null {
    const { start } = this.boundsOf(name, size, moment)
    const window = this.find(name, size, start)
    if (window === undefined) {
      const series = `${name.site}/${name.zone}/${name.device}/${name.metric}`
      throw new Error(`the ${size} window of ${series} from ${start} ms since 1970 was not loaded`)
    }
    return window
  }

  /** The window with this start; null when there is none, undefined when it was not loaded. */
  find(name: SeriesName, size: LongWindowSize, start: number): Window | null | undefined {
    return this.#windows.get(windowKey(name, size, start))
  }

  /** Adds a window that is new or open. */
  add(window: Window): void {
    this.#windows.set(windowKey(window.series, window.size, window.start), window)
  }

  /** Marks a window as closed, because the last point of its series is after the window. */
  close(window: Window): void {
    window.isClosed = true
    this.#closedCount++
  }

  /**
   * A series' windows of a size that start at `from` or later and before `to`. The caller must have
   * loaded all of them.
   */
  *between(name: SeriesName, size: LongWindowSize, from: number, to: number): Generator<Window> {
    for (const { start } of this.#boundsBetween(name, size, from, to)) {
      const window = this.at(name, size, start)
      if (window) yield window
    }
  }

  *#boundsBetween({ site }: SeriesName, size: LongWindowSize, from: number, to: number) {
    const calendar = this.#calendars.of(site)
    for (let start = from; start < to; ) {
      const end = calendar.endOf(windowLengthMs(size), start)
      yield { start, end }
      start = end
    }
  }

  /** Evicts all closed windows when the cache has more than `CLOSED_KEPT_MAX` of them. */
  evict(): void {
    if (this.#closedCount <= CLOSED_KEPT_MAX) return
    this.#closedCount = 0
    for (const [key, window] of this.#windows) {
      if (!window || window.isClosed) this.#windows.delete(key)
    }
  }

  /** Forgets all windows. The caller removes all series from memory as well. */
  clear(): void {
    this.#windows.clear()
    this.#closedCount = 0
  }
}

/** The bounds of the window of a size that contains a moment, both in ms since 1970. */
export function windowBoundsOf(calendar: Calendar, size: LongWindowSize, moment: number): Bounds {
  const lengthMs = windowLengthMs(size)
  const start = calendar.startOf(lengthMs, moment)
  return { start, end: calendar.endOf(lengthMs, start) }
}
