import type { ActiveDevice, ActiveSeries } from '../model/active-series.ts'
import { type Block, packBlock } from '../model/block.ts'
import type { Quarter } from '../model/quarter.ts'
import { pointsKey, seriesKey, windowKey } from '../model/series.ts'
import { packWindow, type Window } from '../model/window.ts'

/** The blocks, windows and series that changed since the last commit, to be written as rows. */
export class DirtyRows {
  readonly #blocks = new Map<Block, ActiveDevice>()
  readonly #windows = new Set<Window>()
  readonly #newSeries: ActiveSeries[] = []
  /** Published quarters and windows whose aggregate changed since, each with its series. */
  readonly republish = new Map<Quarter | Window, ActiveSeries>()

  addBlock(owner: ActiveDevice, block: Block): void {
    this.#blocks.set(block, owner)
  }

  /**
   * Marks a device's last block as changed, because that block stores which block contains the last
   * point of each series.
   */
  addSeriesEnds(owner: ActiveDevice): void {
    this.#blocks.set(owner.blocks.get(owner.lastBlockStart)!, owner)
  }

  /**
   * Marks a window as changed if the window has a row. An open window has no row before its first
   * publication.
   */
  addWindow(window: Window): void {
    if (window.isClosed || window.publishedCount > 0) this.#windows.add(window)
  }

  addNewSeries(series: ActiveSeries): void {
    this.#newSeries.push(series)
  }

  /**
   * Records a new point in a quarter or window. A published window counts the point as an amendment
   * and is published once more.
   */
  amend(series: ActiveSeries, window: Quarter | Window): void {
    if (window.publishedCount > 0) window.amended++
    this.republishIfPublished(series, window)
  }

  /**
   * Has a published quarter or window published once more, because its aggregate changed: by a
   * point in it, or by a new last point before it.
   */
  republishIfPublished(series: ActiveSeries, window: Quarter | Window): void {
    if (window.publishedCount > 0) this.republish.set(window, series)
  }

  /** Adds all changes to the rows of a transaction, and forgets the changes. */
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
