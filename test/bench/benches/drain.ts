import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Client } from '../arguments.ts'
import type { BareOptions, Turn } from '../bare/bare.ts'
import type { FillOptions } from '../load/filled-outbox.ts'
import { PAYLOAD_BYTES } from '../load/packets.ts'
import type { Measurement } from '../measure/figures.ts'
import { ratio } from '../measure/meter.ts'
import { openCounter } from '../measure/samples.ts'
import { cpuOf, rateOf, startBridgeInTurns, type Work } from '../measure/turns.ts'
import { type BenchProcess, runBenchProcess, startBenchProcess } from '../setup/bench-process.ts'
import { createSetup, PARTITIONS } from '../setup/setup.ts'
import type { Bench, BenchCase } from './bench-case.ts'

const WARM_UP_MS = 2000
/** Turns are long, because a process that was stopped first collects garbage when it continues. */
const TURN_MS = 3000

/**
 * The rate at which the bridge drains an outbox, compared with the rate of its client library when
 * the library only produces the same batches. Bridge and library work in turns.
 */
export const drain: BenchCase = {
  needsKafka: true,
  size: ({ drain }) => drain,
  async run(bench) {
    const { warmUpEvents, events, spareEvents, groupEvents: sizes } = bench.sizes.drain
    const all = warmUpEvents + events + spareEvents
    const figures: Measurement[] = []
    for (const groupEvents of sizes) {
      const dir = join(bench.dir, String(groupEvents))
      const fill: FillOptions = { file: join(dir, 'outbox.db'), events: all, groupEvents }
      await runBenchProcess('load/filled-outbox.ts', fill, bench.signal)
      for (const client of bench.clients) {
        const name = `${client}, groups of ${groupEvents}`
        figures.push(...figuresOf(name, await compare({ ...bench, dir }, client, fill.file)))
      }
    }
    return figures
  },
}

type DrainResult = { bridge: Work; bare: Turn; sentBytes: number }

async function compare(bench: Bench, client: Client, outboxFile: string): Promise<DrainResult> {
  const { warmUpEvents, events } = bench.sizes.drain
  const { brokers } = await bench.kafka()
  const sentFile = join(bench.dir, `sent-${client}`)
  const env = {
    NODE_OPTIONS: `--import=${new URL('../bare/sent.ts', import.meta.url)}`,
    BENCH_SENT_FILE: sentFile,
  }
  const setup = await createSetup(join(bench.dir, client), brokers, { outboxFile, client, env })
  const alone = await createSetup(join(bench.dir, `bare-${client}`), brokers, { client })
  const { kafka, topic, limits } = alone
  const options: BareOptions = { file: outboxFile, kafka, topic, partitions: PARTITIONS, limits }
  await using bare = await startBenchProcess('bare/bare.ts', options, bench.signal)
  await turnOf(bare, WARM_UP_MS)
  const done: Turn = { events: 0, seconds: 0, cpuSeconds: 0, sentBytes: 0 }
  const bridge = await startBridgeInTurns(bench, setup, warmUpEvents)
  try {
    while (bridge.work.events < events) {
      await bridge.turn(TURN_MS)
      const turn = await turnOf(bare, TURN_MS)
      for (const key of ['events', 'seconds', 'cpuSeconds', 'sentBytes'] as const) {
        done[key] += turn[key]
      }
    }
  } finally {
    await bridge[Symbol.asyncDispose]()
  }
  await using counter = await openCounter(brokers)
  const sentBytes = Number(await readFile(sentFile, 'utf8')) / (await counter.count(setup.topic))
  return { bridge: bridge.work, bare: done, sentBytes }
}

async function turnOf(bare: BenchProcess, ms: number): Promise<Turn> {
  bare.say(ms)
  return await bare.answer<Turn>()
}

function figuresOf(name: string, { bridge, bare, sentBytes }: DrainResult): Measurement[] {
  const speeds = (of: string, work: Work, sent: number): Measurement[] => [
    { figure: 'drained', of, unit: '1/s', value: rateOf(work) },
    { figure: 'CPU', of, unit: 's/million', value: cpuOf(work) },
    { figure: 'sent', of, unit: 'bytes/reading', value: sent },
  ]
  const own = { of: name, unit: 'ratio' }
  return [
    ...speeds(`bridge, ${name}`, bridge, sentBytes),
    ...speeds(`bare ${name}`, bare, bare.sentBytes / bare.events),
    {
      ...{ figure: 'drained, bridge to bare', ...own, value: rateOf(bridge) / rateOf(bare) },
      target: { atLeast: 0.8 },
    },
    { figure: 'CPU, bridge to bare', ...own, value: ratio(cpuOf(bridge), cpuOf(bare)) },
    {
      ...{ figure: 'sent, to the original JSON', ...own, value: sentBytes / PAYLOAD_BYTES },
      target: { atMost: 0.333 },
    },
  ]
}
