import type { Measured } from './figures.ts'
import type { FillOptions } from './fill-outbox.ts'
import { askHelper } from './helper.ts'
import { ratio } from './meter.ts'
import type { Bench, Part } from './part.ts'
import { makeSetup } from './setup.ts'
import { cpuOf, startInTurns } from './turns.ts'

const TURN_MS = 500

/** What it costs to forward events while many wait behind them, beside what it costs with few. */
export const backlog: Part = {
  needsKafka: true,
  size: ({ backlog }) => backlog,
  async run(bench) {
    const { events, waiting } = bench.sizes.backlog
    await using stack = new AsyncDisposableStack()
    const bridges: Awaited<ReturnType<typeof start>>[] = []
    for (const behind of waiting) bridges.push(stack.use(await start(bench, behind)))
    const isAtIt = ({ work }: (typeof bridges)[number]) => work.events < events
    while (bridges.some(isAtIt))
      for (const bridge of bridges.filter(isAtIt)) await bridge.turn(TURN_MS)
    const costs = bridges.map(({ work }) => cpuOf(work))
    const [few] = waiting
    return waiting.flatMap((behind, index): Measured[] => {
      const cpu: Measured = {
        ...{ figure: `CPU, ${behind} waiting`, of: 'bridge', unit: 's/million' },
        value: costs[index]!,
      }
      const more: Measured = {
        ...{ figure: `CPU, ${behind} to ${few} waiting`, of: null, unit: 'ratio' },
        ...{ value: ratio(costs[index]!, costs[0]!), target: { atMost: 1.1 } },
      }
      return index === 0 ? [cpu] : [cpu, more]
    })
  },
}

async function start(bench: Bench, behind: number) {
  const { warmUpEvents, events } = bench.sizes.backlog
  const setup = await makeSetup(`${bench.dir}/${behind}`, (await bench.kafka()).brokers)
  const fill: FillOptions = { file: setup.outboxFile, events: warmUpEvents + events + behind }
  await askHelper('fill-outbox.ts', fill, bench.signal)
  return startInTurns(bench, setup, warmUpEvents)
}
