import type { Client } from '../arguments.ts'
import type { Measurement } from '../measure/figures.ts'
import { perUnit, ratio, sum } from '../measure/meter.ts'
import { openCounter } from '../measure/samples.ts'
import type { Bench, BenchCase } from './bench-case.ts'
import { type Delivery, deliver } from './delivery.ts'

/**
 * Latency of live readings while a backlog drains to the backfill topic, compared with the latency
 * without a backlog. The latter is measured before and after the drain, because the machine's speed
 * changes.
 */
export const live: BenchCase = {
  needsKafka: true,
  size: ({ live }) => live,
  async run(bench) {
    const figures: Measurement[] = []
    for (const client of bench.clients) figures.push(...(await compare(bench, client)))
    return figures
  },
}

async function compare(bench: Bench, client: Client): Promise<Measurement[]> {
  const { ratePerSecond, seconds, oldEvents } = bench.sizes.live
  const run = { messages: Math.round(ratePerSecond * seconds), ratePerSecond }
  const alone = (when: string) => deliver(bench, run, { name: `${when}-${client}`, client })
  const drained: number[] = []
  await using counter = await openCounter((await bench.kafka()).brokers)
  const before = await alone('before')
  const during = await deliver(
    bench,
    {
      ...run,
      atBothEnds: async ({ backfillTopic }) => {
        drained.push(await counter.count(backfillTopic))
      },
    },
    { name: `during-${client}`, client, oldEvents },
  )
  const after = await alone('after')
  const [atStart, atEnd] = drained as [number, number]
  const p99 = (one: Delivery) => one.judged.latencyMs?.p99 ?? null
  const without = perUnit(sum(p99(before), p99(after)), 2)
  const latency = { of: client, unit: 'ms' }
  const events = { of: client, unit: 'events' }
  return [
    {
      ...{ figure: 'p50, nothing drains', ...latency },
      value: perUnit(sum(...[before, after].map(one => one.judged.latencyMs?.p50 ?? null)), 2),
    },
    { figure: 'p99, nothing drains', ...latency, value: without },
    { figure: 'p50 during the drain', ...latency, value: during.judged.latencyMs?.p50 ?? null },
    { figure: 'p99 during the drain', ...latency, value: p99(during) },
    {
      ...{ figure: 'p99, with the drain to without', of: client, unit: 'ratio' },
      ...{ value: ratio(p99(during), without), target: { atMost: 2 } },
    },
    { figure: 'old events delivered before', ...events, value: atStart },
    // When this is all of the backlog, some live readings had no drain beside them.
    { figure: 'old events delivered meanwhile', ...events, value: atEnd - atStart },
    ...[before, during, after].map(({ judged }, index) => ({
      ...{ figure: `lost or out of order, ${['before', 'during', 'after'][index]}`, of: client },
      ...{ unit: 'messages', value: judged.lost + judged.inversions, target: { atMost: 0 } },
    })),
  ]
}
