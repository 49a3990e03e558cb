import type { FillOptions } from '../load/filled-outbox.ts'
import type { Measurement } from '../measure/figures.ts'
import { ratio } from '../measure/meter.ts'
import { cpuOf, startBridgeInTurns } from '../measure/turns.ts'
import { runBenchProcess } from '../setup/bench-process.ts'
import { createSetup } from '../setup/setup.ts'
import type { Bench, BenchCase } from './bench-case.ts'

const TURN_MS = 500

/**
 * CPU for each forwarded event with a large backlog, compared with the CPU with a small backlog.
 */
export const backlog: BenchCase = {
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
    return waiting.flatMap((behind, index): Measurement[] => {
      const cpu: Measurement = {
        ...{ figure: `CPU, ${behind} waiting`, of: 'bridge', unit: 's/million' },
        value: costs[index]!,
      }
      const more: Measurement = {
        ...{ figure: `CPU, ${behind} to ${few} waiting`, of: null, unit: 'ratio' },
        ...{ value: ratio(costs[index]!, costs[0]!), target: { atMost: 1.1 } },
      }
      return index === 0 ? [cpu] : [cpu, more]
    })
  },
}

async function start(bench: Bench, behind: number) {
  const { warmUpEvents, events } = bench.sizes.backlog
  const setup = await createSetup(`${bench.dir}/${behind}`, (await bench.kafka()).brokers)
  const fill: FillOptions = { file: setup.outboxFile, events: warmUpEvents + events + behind }
  await runBenchProcess('load/filled-outbox.ts', fill, bench.signal)
  return startBridgeInTurns(bench, setup, warmUpEvents)
}
