import { partsOf, within } from '../../state/keys.ts'
import type { ConsumerState } from '../../state/state.ts'
import { totalsIn } from '../window.ts'
import { rowsIn } from './listed.ts'

/** All that counts so far: of each metric, how many values there are and what they add up to. */
export type Totals = {
  metrics: { metric: string; count: number; sum: number }[]
  /** Readings that wait until their gateway says how far its clock was off. */
  held: number
}

/** The totals of all partitions, as they are committed. */
export async function totalsOf(state: ConsumerState): Promise<Totals> {
  const metrics = new Map<string, { metric: string; count: number; sum: number }>()
  let held = 0
  for (const partition of await state.partitions()) {
    const reader = await state.reader(partition)
    for await (const { key, value } of rowsIn(reader, within('window', '1d'))) {
      const metric = partsOf(key)[5]!
      const total = metrics.get(metric) ?? { metric, count: 0, sum: 0 }
      metrics.set(metric, total)
      const { count, sum } = totalsIn(value)
      total.count += count
      total.sum += sum
    }
    for await (const _ of rowsIn(reader, within('held'))) held++
  }
  const byName = [...metrics.values()].sort((one, other) => (one.metric < other.metric ? -1 : 1))
  return { metrics: byName, held }
}
