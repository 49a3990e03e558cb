import type { ConsumerStateAccess } from '../../state/state.ts'
import { readStatus } from '../partition-status.ts'
import { readCompleteWindows } from './complete-windows.ts'
import { listSeries } from './series-list.ts'
import type { ApiContext } from './window-range.ts'

/** Windows of any size give the same totals. Windows of a day need few rows. */
const allDays = { size: '1d', from: 0, to: Number.MAX_SAFE_INTEGER, calendar: null } as const

/** The number and the sum of all values aggregated so far, for each metric. */
export type Totals = {
  metrics: { metric: string; count: number; sum: number }[]
  /** The number of aggregated readings; a reading can have several values. */
  readings: number
  /** The number of readings that are pending until their gateway reports its clock offset. */
  held: number
}

/** The committed totals of all partitions. */
export async function readTotals(state: ConsumerStateAccess, context: ApiContext): Promise<Totals> {
  const metrics = new Map<string, { metric: string; count: number; sum: number }>()
  for await (const series of listSeries(state, {}, null, context.calendars)) {
    const { metric } = series.name
    const total = metrics.get(metric) ?? { metric, count: 0, sum: 0 }
    metrics.set(metric, total)
    for await (const { partial } of readCompleteWindows(series, allDays, context)) {
      total.count += partial?.count ?? 0
      total.sum += partial?.sum ?? 0
    }
  }
  let [readings, held] = [0, 0]
  for (const partition of await state.partitions()) {
    const status = await readStatus(await state.reader(partition))
    readings += status.readings
    for (const pending of Object.values(status.pending)) held += pending.readings
  }
  const byName = [...metrics.values()].sort((a, b) => (a.metric < b.metric ? -1 : 1))
  return { metrics: byName, readings, held }
}
