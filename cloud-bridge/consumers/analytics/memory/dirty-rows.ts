import type { ActiveDevice, ActiveSeries } from '../model/active-series.ts'
import { type Block, packBlock } from '../model/block.ts'
import type { Quarter } from '../model/quarter.ts'
import { pointsKey, seriesKey, windowKey } from '../model/series.ts'
import { packWindow, type Window } from '../model/window.ts'

/** The changes in memory since the last commit, and the rows that they make. */
export class DirtyRows {
  readonly #blocks = new Map<Block, ActiveDevice>()
  readonly #windows = new Set<Window>()
  readonly #newSeries: ActiveSeries[] = []
  /** Published quarters and windows whose aggregate changed since, each with its series. */
  readonly republish = new Map<Quarter | Window, ActiveSeries>()

  addBlock(owner: ActiveDevice, block: Block): void {
    this.#blocks.set(block, owner)
  }

  /** Notes that a device's last block has to say where the device's series end now. */
  addSeriesEnds(owner: ActiveDevice): void {
    this.#blocks.set(owner.blocks.get(owner.lastBlockStart)!, owner)
  }

  /** Adds a window that has a row. An open window has none before it was published. */
  addWindow(window: Window): void {
    if (window.isClosed || window.publishedCount > 0) this.#windows.add(window)
  }

  addNewSeries(series: ActiveSeries): void {
    this.#newSeries.push(series)
  }

  /** Notes a new point in a quarter or window. */
  amend(series: ActiveSeries, window: Quarter | Window): void {
    if (window.publishedCount > 0) window.amended++
    this.republishIfPublished(series, window)
  }

  /** Notes that an aggregate changed, by a point in the quarter or window or one before it. */
  republishIfPublished(series: ActiveSeries, window: Quarter | Window): void {
    if (window.publishedCount > 0) this.republish.set(window, series)
  }

  /** Moves all changes into the rows of a transaction. */
  drainInto(rows: Map<string, Buffer | null>): void {
    for (const [block, owner] of this.#blocks) {
      const { name, lastBlockStart, endBlockStarts } = owner
      const endsElsewhere =
        block.start === lastBlockStart
          ? [...endBlockStarts].filter(([, start]) => start !== lastBlockStart)
          : []
      rows.set(pointsKey(name, block.start), packBlock(block, endsElsewhere))
    }
    for (const window of this.#windows) {
      rows.set(windowKey(window.series, window.size, window.start), packWindow(window))
    }
    for (const series of this.#newSeries) {
      rows.set(seriesKey(series), Buffer.from(JSON.stringify(series.attributes)))
    }
    this.#blocks.clear()
    this.#windows.clear()
    this.#newSeries.length = 0
    this.republish.clear()
  }
}
