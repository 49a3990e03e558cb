import { lastTimeOfKey } from '../../state/row-keys.ts'
import { unpackBlock } from '../model/block.ts'
import type { Quarter } from '../model/quarter.ts'
import { pointsBetween } from '../model/series.ts'
import { BASE_MS, quarterStartOf } from '../model/window-sizes.ts'
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

/**
 * The part of a time range in which the device of a series has points, in whole quarters of an
 * hour; null when the device has no point in the range.
 */
export async function readPointRange(
  { reader, name }: ListedSeries,
  { from, to }: TimeRange,
): Promise<TimeRange | null> {
  const range = { ...pointsBetween(name, Math.max(0, quarterStartOf(from)), to), limit: 1 }
  const [first] = await reader.range(range)
  const [last] = await reader.range({ ...range, backwards: true })
  if (!first || !last) return null
  return { from: lastTimeOfKey(first.key), to: lastTimeOfKey(last.key) + BASE_MS }
}
