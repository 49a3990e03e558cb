import type { Series } from './at-work.ts'
import { type Bundle, forgetRow, type MinuteRow, minuteKey, packRow } from './bundle.ts'
import { seriesKey, windowKey } from './series.ts'
import { packWindow, type Window } from './window.ts'

/** What changed since the last commit, and the rows that it makes. */
export class Changed {
  readonly #minutes: { bundle: Bundle; row: MinuteRow }[] = []
  readonly #windows = new Set<Window>()
  readonly #begun: Series[] = []

  readonly minute = (bundle: Bundle, row: MinuteRow): void => {
    if (row.isChanged) return
    row.isChanged = true
    this.#minutes.push({ bundle, row })
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

  /** Adds all changes to the rows of a transaction, and forgets them. */
  takeRows(rows: Map<string, Buffer | null>): void {
    for (const { bundle, row } of this.#minutes) {
      rows.set(minuteKey(bundle.key, row.start), packRow(row))
      row.isChanged = false
      forgetRow(bundle, row)
    }
    for (const window of this.#windows) {
      if (!window.isKept) continue
      rows.set(windowKey(window.series, window.size, window.start), packWindow(window))
    }
    for (const series of this.#begun) {
      rows.set(seriesKey(series), Buffer.from(JSON.stringify(series.about)))
    }
    this.#minutes.length = 0
    this.#windows.clear()
    this.#begun.length = 0
  }
}
