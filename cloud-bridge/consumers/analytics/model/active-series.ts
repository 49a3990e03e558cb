import type { Block } from './block.ts'
import type { Quarter } from './chunk.ts'
import type { Point } from './partial-aggregate.ts'
import type { DeviceName, SeriesAbout, SeriesName } from './series.ts'
import type { Window } from './window.ts'

/** A device as it is at work. */
export type ActiveDevice = {
  name: DeviceName
  /** The series of it that are in memory, by metric. */
  series: Map<string, ActiveSeries>
  /** The blocks of it that are in memory, by start: also those that were looked for in vain. */
  blocks: Map<number, Block>
  /** The start of its last block, which is always in memory; -Infinity when it has none. */
  latest: number
  /** The starts of the blocks in which its series end, whether they are in memory or not. */
  endings: Map<string, number>
}

/** A series as it is at work: its end, and the windows in which that lies. */
export type ActiveSeries = SeriesName & {
  owner: ActiveDevice
  about: SeriesAbout
  /** All but `planned` and `isNew` are null before its first point. */
  last: Point | null
  block: Block | null
  quarter: Quarter | null
  hour: Window | null
  day: Window | null
  /** One of those three was told. */
  isTold: boolean
  /** Where it will end when what is loaded has been taken, if all of that is. */
  planned: Point | null
  /** It is not listed yet. */
  isNew: boolean
}
