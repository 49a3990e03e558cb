import type { ActiveDevice, ActiveSeries } from '../model/active-series.ts'
import { type Block, packBlock } from '../model/block.ts'
import type { Quarter } from '../model/chunk.ts'
import { pointsKey, seriesKey, windowKey } from '../model/series.ts'
import { packWindow, type Window } from '../model/window.ts'

/** What changed since the last commit, and the rows that it makes. */
export class DirtyRows {
  readonly #blocks = new Map<Block, ActiveDevice>()
  readonly #windows = new Set<Window>()
  readonly #begun: ActiveSeries[] = []
  /** What was told before and comes to something else now, and of which series it is. */
  readonly retold = new Map<Quarter | Window, ActiveSeries>()

  block(owner: ActiveDevice, block: Block): void {
    this.#blocks.set(block, owner)
  }

  /** Where the series of a device end stands in its last block. */
  endings(owner: ActiveDevice): void {
    this.#blocks.set(owner.blocks.get(owner.latest)!, owner)
  }

  /** A window that has or gets a row. One that is not left has none until it is told. */
  window(window: Window): void {
    if (window.isLeft || window.told > 0) this.#windows.add(window)
  }

  /** A point came into it. */
  amend(series: ActiveSeries, one: Quarter | Window): void {
    if (one.told > 0) one.amended++
    this.touch(series, one)
  }

  /** What it comes to is something else, because of a point in it or before it. */
  touch(series: ActiveSeries, one: Quarter | Window): void {
    if (one.told > 0) this.retold.set(one, series)
  }

  /** A series is new. */
  begun(series: ActiveSeries): void {
    this.#begun.push(series)
  }

  /** Adds all changes to the rows of a transaction, and forgets them. */
  takeRows(rows: Map<string, Buffer | null>): void {
    for (const [block, owner] of this.#blocks) {
      const { name, latest, endings } = owner
      const isLast = block.start === latest
      const elsewhere = isLast ? [...endings].filter(([, start]) => start !== latest) : []
      rows.set(pointsKey(name, block.start), packBlock(block, elsewhere))
    }
    for (const window of this.#windows) {
      rows.set(windowKey(window.series, window.size, window.start), packWindow(window))
    }
    for (const series of this.#begun) {
      rows.set(seriesKey(series), Buffer.from(JSON.stringify(series.about)))
    }
    this.#blocks.clear()
    this.#windows.clear()
    this.#begun.length = 0
    this.retold.clear()
  }
}
