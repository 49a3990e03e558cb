import { keysWithPrefix } from '../../state/row-keys.ts'
import type { ConsumerStateAccess } from '../../state/state.ts'
import { listSeries, readRows } from './series-list.ts'
import { readWindows } from './windows.ts'

const ALL = Number.MAX_SAFE_INTEGER

/** All that counts so far: of each metric, how many values there are and what they add up to. */
export type Totals = {
  metrics: { metric: string; count: number; sum: number }[]
  /** Readings that wait until their gateway says how far its clock was off. */
  held: number
}

/** The totals of all partitions, as they are committed. */
export async function readTotals(state: ConsumerStateAccess, holdMaxMs: number): Promise<Totals> {
  const metrics = new Map<string, { metric: string; count: number; sum: number }>()
  let held = 0
  const always = { size: '1d', from: 0, to: Number.MAX_SAFE_INTEGER } as const
  for await (const listed of listSeries(state, {}, null)) {
    const { metric } = listed.name
    const total = metrics.get(metric) ?? { metric, count: 0, sum: 0 }
    metrics.set(metric, total)
    for (const { aggregate } of await readWindows(listed, always, ALL, holdMaxMs)) {
      total.count += aggregate.count
      total.sum += aggregate.sum
    }
  }
  for (const partition of await state.partitions()) {
    for await (const _ of readRows(await state.reader(partition), keysWithPrefix('held'))) held++
  }
  const byName = [...metrics.values()].sort((one, other) => (one.metric < other.metric ? -1 : 1))
  return { metrics: byName, held }
}
