import { setImmediate as breathe } from 'node:timers/promises'
import { keyAfter, keysWithPrefix, partsOf } from '../../state/row-keys.ts'
import type { ConsumerStateAccess, KeyRange, Row } from '../../state/state.ts'
import type { SeriesAbout, SeriesName } from '../model/series.ts'

export type StateReader = Awaited<ReturnType<ConsumerStateAccess['reader']>>

/** What of a series' name is asked for. */
export type SeriesFilter = Readonly<Partial<SeriesName>>

/** Where a page begins: a series, by partition and key, and a moment in it. */
export type PageCursor = { partition: number; key: string; start: number }

/** A series as it is listed in the state of a partition. */
export type ListedSeries = {
  partition: number
  reader: StateReader
  key: string
  name: SeriesName
  about: SeriesAbout
}

const ROWS_AT_ONCE = 500

/**
 * The series of all partitions that a filter lets through, by partition and name, from a place on.
 * Reads what is committed, whoever's the partitions are.
 */
export async function* listSeries(
  state: ConsumerStateAccess,
  filter: SeriesFilter,
  from: PageCursor | null,
): AsyncGenerator<ListedSeries> {
  for (const partition of await state.partitions()) {
    if (from && partition < from.partition) continue
    const reader = await state.reader(partition)
    const span = spanOf(filter)
    const begin = from?.partition === partition && from.key > span.from ? from.key : span.from
    for await (const { key, value } of readRows(reader, { ...span, from: begin })) {
      const [, site, zone, device, metric] = partsOf(key) as [string, ...string[]]
      const name = { site: site!, zone: zone!, device: device!, metric: metric! }
      if (!passes(name, filter)) continue
      yield { partition, reader, key, name, about: JSON.parse(value.toString()) }
    }
  }
}

/** Rows in order, some at a time, so that a long look leaves the process time for its own work. */
export async function* readRows(reader: StateReader, span: KeyRange): AsyncGenerator<Row> {
  const rest = createYielder()
  let { from } = span
  for (;;) {
    const rows = await reader.range({ ...span, from, limit: ROWS_AT_ONCE })
    for (const row of rows) {
      yield row
      await rest()
    }
    if (rows.length < ROWS_AT_ONCE) return
    from = keyAfter(rows.at(-1)!.key)
  }
}

/** As few keys as a filter allows: its parts count as far as none before them is missing. */
function spanOf({ site, zone, device }: SeriesFilter): { from: string; to: string } {
  const parts: string[] = []
  for (const part of [site, zone, device]) {
    if (part === undefined) break
    parts.push(part)
  }
  return keysWithPrefix('series', ...parts)
}

const passes = (name: SeriesName, filter: SeriesFilter) =>
  (Object.keys(filter) as (keyof SeriesFilter)[]).every(part => name[part] === filter[part])

/** Whether a place is in this series. */
export const isCursorInSeries = ({ partition, key }: ListedSeries, place: PageCursor | null) =>
  place?.partition === partition && place.key === key

const BUSY_MAX_MS = 10

/**
 * Gives what a long look calls at every step: it leaves the thread to the process' own work, the
 * heartbeats above all, whenever the look has had it for 10 ms.
 */
export function createYielder(): () => Promise<void> {
  let sinceMs = performance.now()
  return async () => {
    if (performance.now() - sinceMs < BUSY_MAX_MS) return
    await breathe()
    sinceMs = performance.now()
  }
}
