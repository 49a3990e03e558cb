import { lastTimeOfKey } from '../../state/row-keys.ts'
import { unpackBlock } from '../model/block.ts'
import type { Quarter } from '../model/quarter.ts'
import { pointsBetween } from '../model/series.ts'
import { quarterStartOf } from '../model/window-sizes.ts'
import type { ListedSeries } from './series-list.ts'

const BLOCKS_AT_ONCE = 32

/** A time from `from` (included) to `to` (excluded), both in ms since 1970. */
export type TimeRange = { from: number; to: number }

/**
 * The quarters of a series from the one that contains `from` to the last that starts before `to`.
 */
export async function* readQuarters(
  { reader, name }: ListedSeries,
  { from, to }: TimeRange,
): AsyncGenerator<Quarter> {
  for (let begin = Math.max(0, quarterStartOf(from)); ; ) {
    const rows = await reader.range({ ...pointsBetween(name, begin, to), limit: BLOCKS_AT_ONCE })
    for (const { key, value } of rows) {
      const start = lastTimeOfKey(key)
      begin = start + 1
      const quarter = unpackBlock(start, value).block.quarters.get(name.metric)
      if (quarter) yield quarter
    }
    if (rows.length < BLOCKS_AT_ONCE) return
  }
}
