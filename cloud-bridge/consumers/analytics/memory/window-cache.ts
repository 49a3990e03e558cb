import type { PartitionState } from '../../state/state.ts'
import {
  type LongWindowSize,
  type SeriesName,
  startOf,
  windowKey,
  windowSizesMs,
  windowsBetween,
} from '../model/series.ts'
import { unpackWindow, type Window } from '../model/window.ts'

/** So many in which no series ends are kept until they go. */
const LEFT_KEPT_MAX = 1000

/**
 * The hours and days that are in memory: those in which series end, and what was read beside them.
 * None is taken for missing that was not looked for.
 */
export class WindowCache {
  readonly #windows = new Map<string, Window | null>()
  #left = 0
  readonly #state: Pick<PartitionState, 'range'>

  constructor(state: Pick<PartitionState, 'range'>) {
    this.#state = state
  }

  /** The windows of one size that begin from one moment to before another. */
  async load(name: SeriesName, size: LongWindowSize, from: number, to: number): Promise<void> {
    const missing: number[] = []
    for (let start = from; start < to; start += windowSizesMs[size]) {
      if (!this.#windows.has(windowKey(name, size, start))) missing.push(start)
    }
    if (missing.length === 0) return
    const rows = await this.#state.range(windowsBetween(name, size, missing[0]!, to))
    const values = new Map(rows.map(({ key, value }) => [key, value]))
    for (const start of missing) {
      const key = windowKey(name, size, start)
      const value = values.get(key)
      this.#windows.set(key, value ? unpackWindow(name, size, start, value) : null)
      this.#left++
    }
  }

  /** The window in which a moment is; null when there is none. It was looked for. */
  at(name: SeriesName, size: LongWindowSize, moment: number): Window | null {
    const start = startOf(size, moment)
    const window = this.find(name, size, start)
    if (window === undefined) throw new Error(`the ${size} of ${start} was not looked for`)
    return window
  }

  /** The same by its start; undefined when it was not looked for. */
  find(name: SeriesName, size: LongWindowSize, start: number): Window | null | undefined {
    return this.#windows.get(windowKey(name, size, start))
  }

  /** A window that was just made. */
  keep(window: Window): void {
    this.#windows.set(windowKey(window.series, window.size, window.start), window)
  }

  /** Its series ends in it no more. */
  leave(window: Window): void {
    window.isLeft = true
    this.#left++
  }

  /** The hours of a series from one moment to before another; all were looked for. */
  *hours(name: SeriesName, from: number, to: number): Generator<Window> {
    for (let start = from; start < to; start += windowSizesMs['1h']) {
      const window = this.at(name, '1h', start)
      if (window) yield window
    }
  }

  /** Lets go of what is not needed. */
  shrink(): void {
    if (this.#left <= LEFT_KEPT_MAX) return
    this.#left = 0
    for (const [key, window] of this.#windows) {
      if (!window || window.isLeft) this.#windows.delete(key)
    }
  }

  /** No series ends in any of them. */
  clear(): void {
    this.#windows.clear()
    this.#left = 0
  }
}
