import type { Series } from './at-work.ts'
import { type Minute, packPoints } from './points.ts'
import { minuteKey, seriesKey, windowKey } from './series.ts'
import { packWindow, type Window } from './window.ts'

/** What changed since the last commit, and the rows that it makes. */
export class Changed {
  readonly #minutes = new Map<Series, Map<number, Minute>>()
  readonly #windows = new Set<Window>()
  readonly #begun: Series[] = []

  readonly minute = (series: Series, minute: Minute): void => {
    const own = this.#minutes.get(series)
    if (own) own.set(minute.start, minute)
    else this.#minutes.set(series, new Map([[minute.start, minute]]))
  }

  readonly window = (window: Window): void => {
    this.#windows.add(window)
  }

  /** A series is new. */
  begun(series: Series): void {
    this.#begun.push(series)
  }

  get windows(): ReadonlySet<Window> {
    return this.#windows
  }

  minutesOf(series: Series): Iterable<Minute> {
    return this.#minutes.get(series)?.values() ?? []
  }

  /** Adds all changes to the rows of a transaction, and forgets them. */
  takeRows(rows: Map<string, Buffer | null>): void {
    for (const [series, own] of this.#minutes) {
      for (const minute of own.values()) {
        rows.set(minuteKey(series, minute.start), packPoints(minute))
      }
    }
    for (const window of this.#windows) {
      if (!window.isKept) continue
      rows.set(windowKey(window.series, window.size, window.start), packWindow(window))
    }
    for (const series of this.#begun) {
      rows.set(seriesKey(series), Buffer.from(JSON.stringify(series.about)))
    }
    this.#minutes.clear()
    this.#windows.clear()
    this.#begun.length = 0
  }
}
