import type { FillOptions } from './fill-outbox.ts'
import { askHelper } from './helper.ts'
import { per, ratio, sum } from './meter.ts'
import type { Bench, Part } from './part.ts'
import { costBetween, sampleUntil } from './samples.ts'
import { makeSetup, throwIfRestarted } from './setup.ts'

/**
 * What it costs to forward the same number of events while many wait behind them, and while none
 * do. Every bridge is warmed up by other events first, because a cold one compiles its code; those
 * with none behind are forwarded before and after the others, because Kafka and the machine change
 * meanwhile, too.
 */
export const backlog: Part = {
  needsKafka: true,
  size: ({ backlog }) => backlog,
  async run(bench) {
    const { waiting } = bench.sizes.backlog
    const before = await costOf(bench, 'before', 0)
    const costs: (number | null)[] = []
    for (const behind of waiting) costs.push(await costOf(bench, `${behind}`, behind))
    const after = await costOf(bench, 'after', 0)
    const empty = per(sum(before, after), 2)
    const cpu = { of: 'bridge', unit: 's/million' }
    return [
      { figure: 'CPU, 0 waiting behind', ...cpu, value: empty },
      {
        figure: 'CPU, 0 waiting, after to before',
        of: null,
        unit: 'ratio',
        value: ratio(after, before),
      },
      ...waiting.flatMap((behind, index) => [
        { figure: `CPU, ${behind} waiting behind`, ...cpu, value: costs[index]! },
        {
          ...{ figure: `CPU, ${behind} to 0 waiting`, of: null, unit: 'ratio' },
          value: ratio(costs[index]!, empty),
          target: { atMost: 1.1 },
        },
      ]),
    ]
  },
}

/** CPU seconds per million events. */
async function costOf(bench: Bench, name: string, behind: number): Promise<number | null> {
  const { warmUpEvents, events } = bench.sizes.backlog
  const setup = await makeSetup(`${bench.dir}/${name}`, (await bench.kafka()).brokers)
  const until = warmUpEvents + events
  const fill: FillOptions = { file: setup.outboxFile, events: until + behind }
  await askHelper('fill-outbox.ts', fill, bench.signal)
  await using bridge = await setup.startBridge()
  const samples = await sampleUntil(until, bridge.pid!, setup, bench.signal)
  throwIfRestarted(bridge)
  return costBetween(samples, warmUpEvents, until)
}
