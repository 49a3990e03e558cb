import type { Block } from './block.ts'
import type { Point } from './partial-aggregate.ts'
import type { Quarter } from './quarter.ts'
import type { DeviceName, SeriesAttributes, SeriesName } from './series.ts'
import type { Window } from './window.ts'
import type { LongWindowSize } from './window-sizes.ts'

/** A device in memory. */
export type ActiveDevice = {
  name: DeviceName
  /** The device's series in memory, by metric. */
  series: Map<string, ActiveSeries>
  /** The device's blocks in memory, by start; empty ones stand for blocks that do not exist. */
  blocks: Map<number, Block>
  /** The start of the device's last block, which is always in memory; -Infinity when none. */
  lastBlockStart: number
  /** By metric, the start of the block with the last point, whether in memory or not. */
  endBlockStarts: Map<string, number>
}

/** A series in memory: its last point, and the windows that contain that point. */
export type ActiveSeries = SeriesName & {
  owner: ActiveDevice
  attributes: SeriesAttributes
  /** Null before the first point; so are `block` and `quarter`. */
  last: Point | null
  block: Block | null
  quarter: Quarter | null
  /** The window of each size that contains the last point; empty before the first point. */
  openWindows: Map<LongWindowSize, Window>
  /** Whether the quarter or an open window was published. */
  isPublished: boolean
  /** The last point once all loaded events were handled, if all of them are handled. */
  plannedLast: Point | null
  /** Whether the series is not listed yet. */
  isNew: boolean
}

/** Whether a quarter or window contains the last point of its series. */
export const isOpen = ({ quarter, openWindows }: ActiveSeries, window: Quarter | Window) =>
  'times' in window ? quarter === window : openWindows.get(window.size) === window
