import type { Client } from '../arguments.ts'
import type { Measured } from '../measure/figures.ts'
import { per, ratio, sum } from '../measure/meter.ts'
import { openCounter } from '../measure/samples.ts'
import type { Bench, Part } from './bench-case.ts'
import { type Delivery, deliver } from './delivery.ts'

/**
 * How late live readings are while an old backlog drains behind them to its own topic, and without
 * one, before and behind it, because the machine changes meanwhile.
 */
export const live: Part = {
  needsKafka: true,
  size: ({ live }) => live,
  async run(bench) {
    const figures: Measured[] = []
    for (const client of bench.clients) figures.push(...(await compare(bench, client)))
    return figures
  },
}

async function compare(bench: Bench, client: Client): Promise<Measured[]> {
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
  const without = per(sum(p99(before), p99(after)), 2)
  const latency = { of: client, unit: 'ms' }
  const events = { of: client, unit: 'events' }
  return [
    {
      ...{ figure: 'p50, nothing drains', ...latency },
      value: per(sum(...[before, after].map(one => one.judged.latencyMs?.p50 ?? null)), 2),
    },
    { figure: 'p99, nothing drains', ...latency, value: without },
    { figure: 'p50 during the drain', ...latency, value: during.judged.latencyMs?.p50 ?? null },
    { figure: 'p99 during the drain', ...latency, value: p99(during) },
    {
      ...{ figure: 'p99, with the drain to without', of: client, unit: 'ratio' },
      ...{ value: ratio(p99(during), without), target: { atMost: 2 } },
    },
    { figure: 'old events delivered before', ...events, value: atStart },
    // All of them were there before the end: then part of the live readings had no drain behind.
    { figure: 'old events delivered meanwhile', ...events, value: atEnd - atStart },
    ...[before, during, after].map(({ judged }, index) => ({
      ...{ figure: `lost or out of order, ${['before', 'during', 'after'][index]}`, of: client },
      ...{ unit: 'messages', value: judged.lost + judged.inversions, target: { atMost: 0 } },
    })),
  ]
}
