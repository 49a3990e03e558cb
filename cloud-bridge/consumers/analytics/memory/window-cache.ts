import type { PartitionState } from '../../state/state.ts'
import { type SeriesName, windowKey, windowsBetween } from '../model/series.ts'
import { unpackWindow, type Window } from '../model/window.ts'
import { type LongWindowSize, windowLengthMs, windowStartOf } from '../model/window-sizes.ts'

/** How many closed windows are cached before all of them are evicted. */
const CLOSED_KEPT_MAX = 1000

/**
 * The stored windows in memory: open ones, and further ones that were loaded. A window that was
 * loaded and does not exist is cached as null, so a missing cache entry never means a missing row.
 */
export class WindowCache {
  readonly #windows = new Map<string, Window | null>()
  #closedCount = 0
  readonly #state: Pick<PartitionState, 'range'>

  constructor(state: Pick<PartitionState, 'range'>) {
    this.#state = state
  }

  /** Brings all windows of a size that start at `from` or later and before `to` into memory. */
  async load(name: SeriesName, size: LongWindowSize, from: number, to: number): Promise<void> {
    const missing: number[] = []
    for (let start = from; start < to; start += windowLengthMs(size)) {
      if (!this.#windows.has(windowKey(name, size, start))) missing.push(start)
    }
    if (missing.length === 0) return
    const rows = await this.#state.range(windowsBetween(name, size, missing[0]!, to))
    const values = new Map(rows.map(({ key, value }) => [key, value]))
    for (const start of missing) {
      const key = windowKey(name, size, start)
      const value = values.get(key)
      this.#windows.set(key, value ? unpackWindow(name, size, start, value) : null)
      this.#closedCount++
    }
  }

  /** The window that contains a moment; null when none exists. Throws when not loaded. */
  at(name: SeriesName, size: LongWindowSize, moment: number): Window | null {
    const start = windowStartOf(size, moment)
    const window = this.find(name, size, start)
    if (window === undefined) throw new Error(`the ${size} window of ${start} was not loaded`)
    return window
  }

  /** The window with this start; null when none exists, undefined when it was not loaded. */
  find(name: SeriesName, size: LongWindowSize, start: number): Window | null | undefined {
    return this.#windows.get(windowKey(name, size, start))
  }

  /** Adds a new window, or one that is open. */
  add(window: Window): void {
    this.#windows.set(windowKey(window.series, window.size, window.start), window)
  }

  /** Closes a window: the last point of its series is after it. */
  close(window: Window): void {
    window.isClosed = true
    this.#closedCount++
  }

  /** A series' windows of a size that start at `from` or later and before `to`; all were loaded. */
  *between(name: SeriesName, size: LongWindowSize, from: number, to: number): Generator<Window> {
    for (let start = from; start < to; start += windowLengthMs(size)) {
      const window = this.at(name, size, start)
      if (window) yield window
    }
  }

  /** Evicts the closed windows when there are many. */
  evict(): void {
    if (this.#closedCount <= CLOSED_KEPT_MAX) return
    this.#closedCount = 0
    for (const [key, window] of this.#windows) {
      if (!window || window.isClosed) this.#windows.delete(key)
    }
  }

  /** Forgets all windows, because no series is in memory any more. */
  clear(): void {
    this.#windows.clear()
    this.#closedCount = 0
  }
}
