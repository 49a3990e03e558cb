import { configuredKafka } from '../../cloud-bridge/kafka/kafkajs/configured.ts'
import type { FillOptions } from './fill-outbox.ts'
import { askHelper } from './helper.ts'
import { per, sum, useOf } from './meter.ts'
import type { Bench, Part } from './part.ts'
import { makeSetup, pause, type Setup, throwIfRestarted } from './setup.ts'

const SAMPLE_EVERY_MS = 100
const STALLED_MS = 60_000

/** How much CPU the bridge had used when Kafka had so many events. */
export type Sample = { delivered: number; cpuSeconds: number; atMs: number }

/**
 * What it costs to forward the same number of events while many wait behind them, and while none
 * do. Every bridge is warmed up by other events first, because a cold one compiles its code; few
 * are
 * drained before and after the many, because Kafka and the machine change meanwhile, too.
 */
export const backlog: Part = {
  needsKafka: true,
  size: ({ backlog }) => backlog,
  async run(bench) {
    const { warmUpEvents, manyEvents, fewEvents } = bench.sizes.backlog
    const behind = warmUpEvents + fewEvents
    const before = await drain(bench, 'before', behind)
    const many = await drain(bench, 'many', warmUpEvents + manyEvents)
    const after = await drain(bench, 'after', behind)
    const full = costBetween(many, warmUpEvents, behind)
    const costs = [before, after].map(few => costBetween(few, warmUpEvents, behind))
    const empty = per(sum(...costs), costs.length)
    const last = costBetween(many, warmUpEvents + manyEvents - fewEvents, warmUpEvents + manyEvents)
    const of = 'bridge'
    const unit = 's/million'
    return [
      { figure: `CPU, ${manyEvents} waiting`, of, unit, value: full },
      { figure: `CPU, ${fewEvents} waiting`, of, unit, value: empty },
      {
        figure: 'CPU, many to few waiting',
        of,
        unit: 'ratio',
        value: full !== null && empty !== null ? full / empty : null,
        target: { atMost: 1.15 },
      },
      { figure: `CPU, last ${fewEvents} of ${manyEvents}`, of, unit, value: last },
      { figure: 'drained', of, unit: '1/s', value: rateOf(many) },
    ]
  },
}

/** CPU seconds per million events between two counts; null when none was measured. */
export function costBetween(samples: Sample[], from: number, to: number): number | null {
  const cost = (valueAt(samples, to) - valueAt(samples, from)) / (to - from)
  return Number.isNaN(cost) ? null : cost * 1e6
}

/** Between two samples CPU is taken to grow evenly. */
function valueAt(samples: Sample[], delivered: number): number {
  const at = samples.findIndex(sample => sample.delivered >= delivered)
  const [before, behind] = [samples[Math.max(0, at - 1)], samples[at]]
  if (!before || !behind) return Number.NaN
  const span = behind.delivered - before.delivered
  const share = span === 0 ? 1 : (delivered - before.delivered) / span
  return before.cpuSeconds + share * (behind.cpuSeconds - before.cpuSeconds)
}

function rateOf(samples: Sample[]): number | null {
  const [first, last] = [samples.findLast(({ delivered }) => delivered === 0), samples.at(-1)]
  if (!first || !last) return null
  return (last.delivered / (last.atMs - first.atMs)) * 1000
}

async function drain(bench: Bench, name: string, events: number): Promise<Sample[]> {
  const setup = await makeSetup(`${bench.dir}/${name}`, (await bench.kafka()).brokers)
  const fill: FillOptions = { file: setup.outboxFile, events }
  await askHelper('fill-outbox.ts', fill, bench.signal)
  await using bridge = await setup.startBridge()
  const samples = await sampleUntil(events, bridge.pid!, setup, bench.signal)
  throwIfRestarted(bridge)
  return samples
}

/** Asks Kafka, not the bridge, because answering would cost the bridge CPU. */
async function sampleUntil(
  events: number,
  pid: number,
  { kafka, topic }: Setup,
  signal: AbortSignal,
): Promise<Sample[]> {
  const admin = configuredKafka(kafka).admin()
  const samples: Sample[] = []
  let changedMs = performance.now()
  await admin.connect()
  try {
    while ((samples.at(-1)?.delivered ?? 0) < events) {
      const ends = await admin.fetchTopicOffsets(topic)
      const delivered = ends.reduce((sum, { high }) => sum + Number(high), 0)
      const atMs = performance.now()
      if (delivered !== samples.at(-1)?.delivered) changedMs = atMs
      else if (atMs - changedMs > STALLED_MS) throw new Error(`stalled at ${delivered} events`)
      samples.push({ delivered, cpuSeconds: useOf(pid).cpuSeconds ?? Number.NaN, atMs })
      await pause(SAMPLE_EVERY_MS, signal)
    }
  } finally {
    await admin.disconnect()
  }
  return samples
}
