import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Client } from './arguments.ts'
import type { BareOptions, BareResult } from './bare.ts'
import type { Measured } from './figures.ts'
import type { FillOptions } from './fill-outbox.ts'
import { askHelper } from './helper.ts'
import { PAYLOAD_BYTES } from './packets.ts'
import type { Bench, Part } from './part.ts'
import { costBetween, rateBetween, sampleUntil } from './samples.ts'
import { makeSetup, PARTITIONS, throwIfRestarted } from './setup.ts'

/** The bridge's, so that only what it does besides is compared. */
const V8_FLAGS = ['--max-semi-space-size=4']

/** Events a second, CPU seconds per million, bytes to sockets per event. */
type Speed = { rate: number | null; cpu: number | null; bytes: number | null }

/**
 * How fast the bridge alone drains an outbox, beside the library that it uses when that produces the
 * same batches and does nothing else: one half before the bridge, one behind it. All processes are
 * warmed up by other events first.
 */
export const drain: Part = {
  needsKafka: true,
  size: ({ drain }) => drain,
  async run(bench) {
    const { warmUpEvents, events } = bench.sizes.drain
    const file = join(bench.dir, 'outbox.db')
    const fill: FillOptions = { file, events: warmUpEvents + events }
    await askHelper('fill-outbox.ts', fill, bench.signal)
    const figures: Measured[] = []
    for (const client of bench.clients) {
      const before = await produceBare(bench, client, file, 1)
      const bridge = await drainByBridge(bench, client, file)
      const after = await produceBare(bench, client, file, 1 + Math.floor(events / 2))
      figures.push(...figuresOf(client, bridge, bothOf(before, after)))
    }
    return figures
  },
}

async function drainByBridge(bench: Bench, client: Client, outboxFile: string): Promise<Speed> {
  const { warmUpEvents, events } = bench.sizes.drain
  const dir = join(bench.dir, client)
  const sentFile = join(dir, 'sent')
  const env = {
    NODE_OPTIONS: `--import=${new URL('sent.ts', import.meta.url)}`,
    BENCH_SENT_FILE: sentFile,
  }
  const options = { outboxFile, client, env }
  const setup = await makeSetup(dir, (await bench.kafka()).brokers, options)
  const bridge = await setup.startBridge()
  const whole = warmUpEvents + events
  const samples = await sampleUntil(whole, bridge.pid!, setup, bench.signal).finally(async () => {
    throwIfRestarted(bridge)
    await bridge[Symbol.asyncDispose]()
  })
  return {
    rate: rateBetween(samples, warmUpEvents, whole),
    cpu: costBetween(samples, warmUpEvents, whole),
    bytes: Number(await readFile(sentFile, 'utf8')) / whole,
  }
}

async function produceBare(bench: Bench, client: Client, file: string, from: number) {
  const { warmUpEvents, events } = bench.sizes.drain
  const { brokers } = await bench.kafka()
  const setup = await makeSetup(join(bench.dir, `bare-${client}-${from}`), brokers, { client })
  const { kafka, topic, limits } = setup
  const half = { warmUpEvents, events: events / 2 }
  const options: BareOptions = { file, kafka, topic, partitions: PARTITIONS, limits, from, ...half }
  return await askHelper<BareResult>('bare.ts', options, bench.signal, V8_FLAGS)
}

function bothOf(one: BareResult, other: BareResult): Speed {
  const events = one.events + other.events
  return {
    rate: events / (one.seconds + other.seconds),
    cpu: ((one.cpuSeconds + other.cpuSeconds) / events) * 1e6,
    bytes: (one.sentBytes + other.sentBytes) / events,
  }
}

function figuresOf(client: Client, bridge: Speed, bare: Speed): Measured[] {
  const ratioOf = (one: number | null, other: number | null) =>
    one !== null && other !== null ? one / other : null
  const ratio = (figure: string, value: number | null, target?: Measured['target']): Measured => ({
    ...{ figure, of: client, unit: 'ratio', value },
    ...(target && { target }),
  })
  const speeds = (of: string, { rate, cpu, bytes }: Speed): Measured[] => [
    { figure: 'drained', of, unit: '1/s', value: rate },
    { figure: 'CPU', of, unit: 's/million', value: cpu },
    { figure: 'sent', of, unit: 'bytes/reading', value: bytes },
  ]
  return [
    ...speeds(`bridge, ${client}`, bridge),
    ...speeds(`bare ${client}`, bare),
    ratio('drained, bridge to bare', ratioOf(bridge.rate, bare.rate), { atLeast: 0.8 }),
    ratio('CPU, bridge to bare', ratioOf(bridge.cpu, bare.cpu)),
    ratio('sent, to the JSON it came as', ratioOf(bridge.bytes, PAYLOAD_BYTES), {
      atMost: 1 / 3,
    }),
  ]
}
