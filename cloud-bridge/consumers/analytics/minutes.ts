import { partsOf, timeIn } from '../state/keys.ts'
import type { PartitionState } from '../state/state.ts'
import { bundleKey, minuteKey, unpackRow } from './bundle.ts'
import type { Minute } from './points.ts'
import type { SeriesAbout, SeriesName } from './series.ts'

/** Of the minutes of a series, those from one moment to before another. */
type Between = { from: number; to: number; limit?: number; backwards?: boolean }

/** So many rows are read at once when a series is missing in those that were read first. */
const ROWS_AT_ONCE_MAX = 1000
const GROWTH = 4

/** The minutes of a series as they are committed. Rejects while the state is away. */
export async function minutesOf(
  state: Pick<PartitionState, 'range'>,
  name: SeriesName,
  { bundle }: Pick<SeriesAbout, 'bundle'>,
  { from, to, limit = Number.POSITIVE_INFINITY, backwards = false }: Between,
): Promise<Minute[]> {
  const key = bundleKey(name, bundle)
  const found: Minute[] = []
  let [first, end, atOnce] = [from, to, limit]
  for (;;) {
    const span = { from: minuteKey(key, first), to: minuteKey(key, end), backwards }
    const rows = await state.range(Number.isFinite(atOnce) ? { ...span, limit: atOnce } : span)
    for (const row of rows) {
      const start = timeOfKey(row.key)
      const minute = unpackRow(start, row.value, name.metric).get(name.metric)
      if (minute) found.push(minute)
      if (found.length === limit) return found
    }
    if (rows.length < atOnce) return found
    const reached = timeOfKey(rows.at(-1)!.key)
    if (backwards) end = reached
    else first = reached + 1
    atOnce = Math.min(atOnce * GROWTH, ROWS_AT_ONCE_MAX)
  }
}

/** The time at the end of a key. */
export const timeOfKey = (key: string) => timeIn(partsOf(key).at(-1)!)
