import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SupervisedProcess } from '../../simulators/supervisor.ts'
import type { Client } from './arguments.ts'
import type { BareOptions, Turn } from './bare.ts'
import type { Measured } from './figures.ts'
import type { FillOptions } from './fill-outbox.ts'
import { askHelper, type Helper, startHelper } from './helper.ts'
import { ratio, useOf } from './meter.ts'
import { PAYLOAD_BYTES } from './packets.ts'
import type { Bench, Part } from './part.ts'
import { openCounter, sampleUntil } from './samples.ts'
import { makeSetup, PARTITIONS, pause, throwIfRestarted } from './setup.ts'

const TURN_MS = 500
const WARM_UP_MS = 2000

/**
 * How fast the bridge alone drains an outbox, beside the library that it uses when that produces
 * the same batches and does nothing else. They take turns, one standing still (SIGSTOP) while the
 * other works, because what else a machine does changes from one second to the next.
 */
export const drain: Part = {
  needsKafka: true,
  size: ({ drain }) => drain,
  async run(bench) {
    const { warmUpEvents, events, spareEvents } = bench.sizes.drain
    const file = join(bench.dir, 'outbox.db')
    const fill: FillOptions = { file, events: warmUpEvents + events + spareEvents }
    await askHelper('fill-outbox.ts', fill, bench.signal)
    const figures: Measured[] = []
    for (const client of bench.clients) figures.push(...(await compare(bench, client, file)))
    return figures
  },
}

async function compare(bench: Bench, client: Client, outboxFile: string): Promise<Measured[]> {
  const { warmUpEvents } = bench.sizes.drain
  const { brokers } = await bench.kafka()
  const sentFile = join(bench.dir, `sent-${client}`)
  const env = {
    NODE_OPTIONS: `--import=${new URL('sent.ts', import.meta.url)}`,
    BENCH_SENT_FILE: sentFile,
  }
  const setup = await makeSetup(join(bench.dir, client), brokers, { outboxFile, client, env })
  const alone = await makeSetup(join(bench.dir, `bare-${client}`), brokers, { client })
  const { kafka, topic, limits } = alone
  const options: BareOptions = { file: outboxFile, kafka, topic, partitions: PARTITIONS, limits }
  await using bare = await startHelper('bare.ts', options, bench.signal)
  bare.say(WARM_UP_MS)
  await bare.answer<Turn>()
  await using counter = await openCounter(brokers)
  const turns = await (async () => {
    await using bridge = await setup.startBridge()
    await sampleUntil(warmUpEvents, bridge.pid!, setup, bench.signal)
    return await inTurns(bench, bridge, bare, () => counter.count(setup.topic))
  })()
  const sent = Number(await readFile(sentFile, 'utf8')) / (await counter.count(setup.topic))
  return figuresOf(client, turns, sent)
}

type Turns = { bridge: Omit<Turn, 'sentBytes'>; bare: Turn }

async function inTurns(
  { sizes, signal }: Bench,
  bridge: SupervisedProcess,
  bare: Helper,
  count: () => Promise<number>,
): Promise<Turns> {
  const of = { events: 0, seconds: 0, cpuSeconds: 0 }
  const turns = { bridge: { ...of }, bare: { ...of, sentBytes: 0 } }
  bridge.kill('SIGSTOP')
  const cpuNow = () => useOf(bridge.pid!).cpuSeconds ?? Number.NaN
  const [first, cpuBefore] = [await count(), cpuNow()]
  while (turns.bridge.events < sizes.drain.events) {
    const startedMs = performance.now()
    bridge.kill('SIGCONT')
    await pause(TURN_MS, signal)
    bridge.kill('SIGSTOP')
    turns.bridge.seconds += (performance.now() - startedMs) / 1000
    const events = (await count()) - first
    if (events === turns.bridge.events) throw new Error(`the bridge stalled at ${first + events}`)
    turns.bridge.events = events
    bare.say(TURN_MS)
    const turn = await bare.answer<Turn>()
    for (const key of ['events', 'seconds', 'cpuSeconds', 'sentBytes'] as const) {
      turns.bare[key] += turn[key]
    }
  }
  turns.bridge.cpuSeconds = cpuNow() - cpuBefore
  throwIfRestarted(bridge)
  return turns
}

function figuresOf(client: Client, { bridge, bare }: Turns, sentBytes: number): Measured[] {
  const rate = ({ events, seconds }: Turns['bridge']) => events / seconds
  const cpu = ({ events, cpuSeconds }: Turns['bridge']) =>
    Number.isNaN(cpuSeconds) ? null : (cpuSeconds / events) * 1e6
  const speeds = (of: string, turns: Turns['bridge'], sent: number): Measured[] => [
    { figure: 'drained', of, unit: '1/s', value: rate(turns) },
    { figure: 'CPU', of, unit: 's/million', value: cpu(turns) },
    { figure: 'sent', of, unit: 'bytes/reading', value: sent },
  ]
  const own = { of: client, unit: 'ratio' }
  return [
    ...speeds(`bridge, ${client}`, bridge, sentBytes),
    ...speeds(`bare ${client}`, bare, bare.sentBytes / bare.events),
    {
      ...{ figure: 'drained, bridge to bare', ...own, value: rate(bridge) / rate(bare) },
      target: { atLeast: 0.8 },
    },
    { figure: 'CPU, bridge to bare', ...own, value: ratio(cpu(bridge), cpu(bare)) },
    {
      ...{ figure: 'sent, to the JSON it came as', ...own, value: sentBytes / PAYLOAD_BYTES },
      target: { atMost: 0.333 },
    },
  ]
}
