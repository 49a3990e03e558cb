import { keysWithPrefix } from '../../state/row-keys.ts'
import type { ConsumerStateAccess } from '../../state/state.ts'
import { listSeries, readRows } from './series-list.ts'
import { readWindows } from './windows.ts'

const UNLIMITED = Number.MAX_SAFE_INTEGER
/** Windows of any size give the same totals. Windows of a day need few rows. */
const allDays = { size: '1d', from: 0, to: Number.MAX_SAFE_INTEGER } as const

/** The number and the sum of all values aggregated so far, for each metric. */
export type Totals = {
  metrics: { metric: string; count: number; sum: number }[]
  /** The number of readings that are pending until their gateway reports its clock offset. */
  held: number
}

/** The committed totals of all partitions. */
export async function readTotals(state: ConsumerStateAccess, holdMaxMs: number): Promise<Totals> {
  const metrics = new Map<string, { metric: string; count: number; sum: number }>()
  for await (const series of listSeries(state, {}, null)) {
    const { metric } = series.name
    const total = metrics.get(metric) ?? { metric, count: 0, sum: 0 }
    metrics.set(metric, total)
    for (const { aggregate } of await readWindows(series, allDays, UNLIMITED, holdMaxMs)) {
      total.count += aggregate.count
      total.sum += aggregate.sum
    }
  }
  let pending = 0
  for (const partition of await state.partitions()) {
    for await (const _ of readRows(await state.reader(partition), keysWithPrefix('held'))) pending++
  }
  const byName = [...metrics.values()].sort((a, b) => (a.metric < b.metric ? -1 : 1))
  return { metrics: byName, held: pending }
}
