import type { Block } from './block.ts'
import type { Calendar } from './calendar.ts'
import type { OrderedPoint, Quarter } from './quarter.ts'
import type { DeviceName, SeriesAttributes, SeriesName } from './series.ts'
import type { Window } from './window.ts'
import type { LongWindowSize } from './window-sizes.ts'

/** A device in memory. */
export type ActiveDevice = {
  name: DeviceName
  /** The calendar of the device's site. */
  calendar: Calendar
  /** The device's series in memory, by metric. */
  series: Map<string, ActiveSeries>
  /**
   * The device's blocks in memory, by start. A block has the device's points of a quarter of an
   * hour. An empty block stands for a block without a row.
   */
  blocks: Map<number, Block>
  /**
   * The start (ms since 1970) of the device's latest block by time. That block is always in memory.
   * -Infinity before the first block.
   */
  lastBlockStart: number
  /**
   * For each metric of the device, the start of the block with the metric's last point. Has also
   * metrics whose series are not in memory.
   */
  endBlockStarts: Map<string, number>
}

/** A series in memory: its last point, and the windows that contain that point. */
export type ActiveSeries = SeriesName & {
  owner: ActiveDevice
  attributes: SeriesAttributes
  /** Whether the values are readings of a meter. */
  isMeter: boolean
  /**
   * The last point, with the block and the quarter that contain it. All null before the first
   * point.
   */
  last: OrderedPoint | null
  block: Block | null
  quarter: Quarter | null
  /** The window of each size that contains the last point; empty before the first point. */
  openWindows: Map<LongWindowSize, Window>
  /** Whether the quarter or an open window was published. */
  isPublished: boolean
  /** The last point that the series has when all loaded events are handled. */
  plannedLast: OrderedPoint | null
  /** Whether the series is not in the catalogue yet. */
  isNew: boolean
}

/** Whether a quarter or window contains the last point of its series. */
export const isOpen = ({ quarter, openWindows }: ActiveSeries, window: Quarter | Window) =>
  'times' in window ? quarter === window : openWindows.get(window.size) === window
