import { setImmediate as breathe } from 'node:timers/promises'
import { behind, partsOf, within } from '../../state/row-keys.ts'
import type { AnyVersion, Row, Span } from '../../state/state.ts'
import type { SeriesAbout, SeriesName } from '../model/series.ts'

export type Reader = Awaited<ReturnType<AnyVersion['reader']>>

/** What of a series' name is asked for. */
export type Filter = Readonly<Partial<SeriesName>>

/** Where a page begins: a series, by partition and key, and a moment in it. */
export type Place = { partition: number; key: string; start: number }

/** A series as it is listed in the state of a partition. */
export type Listed = {
  partition: number
  reader: Reader
  key: string
  name: SeriesName
  about: SeriesAbout
}

const ROWS_AT_ONCE = 500

/**
 * The series of all partitions that a filter lets through, by partition and name, from a place on.
 * Reads what is committed, whoever's the partitions are.
 */
export async function* seriesIn(
  state: AnyVersion,
  filter: Filter,
  from: Place | null,
): AsyncGenerator<Listed> {
  for (const partition of await state.partitions()) {
    if (from && partition < from.partition) continue
    const reader = await state.reader(partition)
    const span = spanOf(filter)
    const begin = from?.partition === partition && from.key > span.from ? from.key : span.from
    for await (const { key, value } of rowsIn(reader, { ...span, from: begin })) {
      const [, site, zone, device, metric] = partsOf(key) as [string, ...string[]]
      const name = { site: site!, zone: zone!, device: device!, metric: metric! }
      if (!passes(name, filter)) continue
      yield { partition, reader, key, name, about: JSON.parse(value.toString()) }
    }
  }
}

/** Rows in order, some at a time, so that a long look leaves the process time for its own work. */
export async function* rowsIn(reader: Reader, span: Span): AsyncGenerator<Row> {
  const rest = startRests()
  let { from } = span
  for (;;) {
    const rows = await reader.range({ ...span, from, limit: ROWS_AT_ONCE })
    for (const row of rows) {
      yield row
      await rest()
    }
    if (rows.length < ROWS_AT_ONCE) return
    from = behind(rows.at(-1)!.key)
  }
}

/** As few keys as a filter allows: its parts count as far as none before them is missing. */
function spanOf({ site, zone, device }: Filter): { from: string; to: string } {
  const parts: string[] = []
  for (const part of [site, zone, device]) {
    if (part === undefined) break
    parts.push(part)
  }
  return within('series', ...parts)
}

const passes = (name: SeriesName, filter: Filter) =>
  (Object.keys(filter) as (keyof Filter)[]).every(part => name[part] === filter[part])

/** Whether a place is in this series. */
export const isIn = ({ partition, key }: Listed, place: Place | null) =>
  place?.partition === partition && place.key === key

const BUSY_MAX_MS = 10

/**
 * Gives what a long look calls at every step: it leaves the thread to the process' own work, the
 * heartbeats above all, whenever the look has had it for 10 ms.
 */
export function startRests(): () => Promise<void> {
  let sinceMs = performance.now()
  return async () => {
    if (performance.now() - sinceMs < BUSY_MAX_MS) return
    await breathe()
    sinceMs = performance.now()
  }
}
