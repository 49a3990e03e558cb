import { setImmediate as nextTurn } from 'node:timers/promises'
import { keyAfter, keysWithPrefix } from '../../state/row-keys.ts'
import {
  type ConsumerStateAccess,
  type KeyRange,
  type Row,
  StateUnavailable,
} from '../../state/state.ts'
import type { Calendars } from '../model/calendar.ts'
import type { SeriesAttributes, SeriesName } from '../model/series.ts'
import { seriesNameIn } from '../series-catalogue.ts'
import { layoutFault } from '../state-layout.ts'

export type StateReader = Awaited<ReturnType<ConsumerStateAccess['reader']>>

/** The parts that the name of a series must have. A part that is absent matches every value. */
export type SeriesFilter = Readonly<Partial<SeriesName>>

/**
 * Where a page starts: the partition and row key of a series, and a time in that series (ms since
 * 1970). The pages of a zone use only the time.
 */
export type PageCursor = { partition: number; key: string; start: number }

/** A series that has a row in the state of a partition, with the reader of that state. */
export type ListedSeries = {
  partition: number
  reader: StateReader
  key: string
  name: SeriesName
  attributes: SeriesAttributes
}

const ROWS_AT_ONCE = 500

/**
 * All series that match a filter, ordered by partition and name, from a cursor on. Reads the
 * committed state of every partition, whichever member owns the partition. Rejects with
 * StateUnavailable while the windows of a partition are not rebuilt for `calendars`.
 */
export async function* listSeries(
  state: ConsumerStateAccess,
  filter: SeriesFilter,
  from: PageCursor | null,
  calendars: Calendars,
): AsyncGenerator<ListedSeries> {
  for (const partition of await state.partitions()) {
    if (from && partition < from.partition) continue
    const reader = await state.reader(partition)
    const fault = await layoutFault(reader, calendars)
    if (fault) throw new StateUnavailable(`partition ${partition}: ${fault}`)
    const range = keyRangeOf(filter)
    const begin = from?.partition === partition && from.key > range.from ? from.key : range.from
    for await (const { key, value } of readRows(reader, { ...range, from: begin })) {
      const name = seriesNameIn(key)
      if (!matches(name, filter)) continue
      yield { partition, reader, key, name, attributes: JSON.parse(value.toString()) }
    }
  }
}

/**
 * Rows in the order of their keys, read in batches. A long read yields to the other work of the
 * process.
 */
export async function* readRows(reader: StateReader, range: KeyRange): AsyncGenerator<Row> {
  const yieldIfBusy = createYielder()
  let { from } = range
  for (;;) {
    const rows = await reader.range({ ...range, from, limit: ROWS_AT_ONCE })
    for (const row of rows) {
      yield row
      await yieldIfBusy()
    }
    if (rows.length < ROWS_AT_ONCE) return
    from = keyAfter(rows.at(-1)!.key)
  }
}

/**
 * The smallest key range for a filter. Keys sort by site, zone and device, so a part narrows the
 * range only when the filter has all parts before it.
 */
function keyRangeOf({ site, zone, device }: SeriesFilter): { from: string; to: string } {
  const parts: string[] = []
  for (const part of [site, zone, device]) {
    if (part === undefined) break
    parts.push(part)
  }
  return keysWithPrefix('series', ...parts)
}

const matches = (name: SeriesName, filter: SeriesFilter) =>
  (Object.keys(filter) as (keyof SeriesFilter)[]).every(part => name[part] === filter[part])

/** Whether a cursor points into this series. */
export const isCursorInSeries = ({ partition, key }: ListedSeries, cursor: PageCursor | null) =>
  cursor?.partition === partition && cursor.key === key

const BUSY_MAX_MS = 10

/**
 * Creates a function for a long read to call at every step. The function leaves the thread to other
 * work of the process, above all heartbeats, whenever the read has run for 10 ms.
 */
export function createYielder(): () => Promise<void> {
  let sinceMs = performance.now()
  return async () => {
    if (performance.now() - sinceMs < BUSY_MAX_MS) return
    await nextTurn()
    sinceMs = performance.now()
  }
}
