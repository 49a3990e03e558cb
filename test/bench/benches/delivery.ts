import type { ArrivalsOptions, Progress } from '../load/arrivals.ts'
import type { Judgement } from '../load/judgement.ts'
import type { LoadResult } from '../load/load.ts'
import type { Measurement, Target } from '../measure/figures.ts'
import { createMeter, perUnit, type ResourceUse, sum } from '../measure/meter.ts'
import { type BenchProcess, startBenchProcess } from '../setup/bench-process.ts'
import { DEVICES, openPipeline, type Pipeline, type PipelineOptions } from '../setup/pipeline.ts'
import { pause } from '../setup/setup.ts'
import type { Bench, BenchCase } from './bench-case.ts'

const QUIET_MS = 15_000
const LATE_DUPLICATES_MS = 1000

export type Delivery = {
  load: LoadResult
  judged: Judgement
  uses: Record<'gateway' | 'bridge' | 'kafka' | 'reader', ResourceUse>
  othersShare: number | null
}

/** Publishes as fast as PUBACKs arrive. The clock stops when Kafka has the last message. */
export const throughput: BenchCase = {
  needsKafka: true,
  size: ({ throughput }) => throughput,
  async run(bench) {
    const delivery = await deliver(bench, bench.sizes.throughput)
    const { load, judged } = delivery
    const seconds = (judged.lastAtUs - load.startedAtUs) / 1e6
    return [
      { figure: 'readable in Kafka', of: null, unit: '1/s', value: judged.delivered / seconds },
      { figure: 'acknowledged', of: null, unit: '1/s', value: load.acksPerSecond },
      ...latenciesOf(delivery),
      ...costsOf(delivery, { cpu: { atMost: 36 }, disk: { atMost: 100 } }),
      ...soundnessOf(delivery),
    ]
  },
}

/** Publishes at the rate of a building. Latency counts from the scheduled time. */
export const paced: BenchCase = {
  needsKafka: true,
  size: ({ paced }) => paced,
  async run(bench) {
    const { ratePerSecond, seconds } = bench.sizes.paced
    const messages = Math.round(ratePerSecond * seconds)
    const delivery = await deliver(bench, { messages, ratePerSecond })
    const rss = { gateway: { below: 150 }, bridge: { below: 130 } }
    return [
      ...latenciesOf(delivery, { atMost: 55 }),
      ...costsOf(delivery, { cpu: { atMost: 200 }, disk: { atMost: 700 }, ...rss }),
      ...soundnessOf(delivery),
    ]
  },
}

type Run = {
  messages: number
  ratePerSecond?: number
  /** Called right before and right after the load. */
  atBothEnds?: (pipeline: Pipeline) => Promise<void>
}

/** Publishes messages, and judges what a reader finds in the readings topic. */
export async function deliver(
  bench: Bench,
  { atBothEnds = async () => {}, ...size }: Run,
  options?: PipelineOptions,
): Promise<Delivery> {
  await using pipeline = await openPipeline(bench, options)
  const { kafka, topic, pids } = pipeline
  const what: ArrivalsOptions = { kafka, topic }
  await using reader = await startBenchProcess('load/arrivals.ts', what, bench.signal)
  await pipeline.openConnections()
  await untilRead(reader, DEVICES)
  await atBothEnds(pipeline)
  reader.say('begin')
  const meter = createMeter({ ...pids, reader: reader.pid })
  const load = await pipeline.load(size)
  await atBothEnds(pipeline)
  await untilRead(reader, load.acknowledged)
  const uses = meter.read()
  pipeline.throwIfRestarted()
  const generatorSeconds = (load.cpuSecondsPerMillion * load.acknowledged) / 1e6
  const ours = Object.values(uses).map(({ cpuSeconds }) => cpuSeconds)
  const othersShare = meter.othersShare(sum(...ours, generatorSeconds) ?? 0)
  await pause(LATE_DUPLICATES_MS, bench.signal)
  reader.say({ acknowledgedByDevice: load.acknowledgedByDevice })
  for (;;) {
    const judged = await reader.answer<Progress | Judgement>()
    if ('delivered' in judged) return { load, judged, uses, othersShare }
  }
}

/** Waits until the reader has `count` records, or until no record arrives for a while. */
async function untilRead(reader: BenchProcess, count: number): Promise<void> {
  let [last, changedMs] = [-1, performance.now()]
  for (;;) {
    const { records } = await reader.answer<Progress>()
    if (records !== last) [last, changedMs] = [records, performance.now()]
    if (records >= count || performance.now() - changedMs > QUIET_MS) return
  }
}

function latenciesOf({ judged: { latencyMs }, load }: Delivery, p99Target?: Target): Measurement[] {
  const p99 = { figure: 'publish to readable, p99', of: null, unit: 'ms' }
  return [
    { ...p99, figure: 'publish to readable, p50', value: latencyMs?.p50 ?? null },
    { ...p99, value: latencyMs?.p99 ?? null, ...(p99Target && { target: p99Target }) },
    { figure: 'PUBACK, p50', of: null, unit: 'ms', value: load.ackMs?.p50 ?? null },
    { figure: 'PUBACK, p99', of: null, unit: 'ms', value: load.ackMs?.p99 ?? null },
  ]
}

type CostTargets = { cpu: Target; disk: Target; gateway?: Target; bridge?: Target }

function costsOf({ judged, uses }: Delivery, targets: CostTargets): Measurement[] {
  const { gateway, bridge, kafka, reader } = uses
  const cpu = (of: string, seconds: number | null): Measurement => ({
    figure: 'CPU',
    of,
    unit: 's/million',
    value: perUnit(seconds, judged.delivered, 1e6),
  })
  const disk = (of: string, bytes: number | null): Measurement => ({
    figure: 'to disk',
    of,
    unit: 'bytes/reading',
    value: perUnit(bytes, judged.delivered),
  })
  const rss = (of: 'gateway' | 'bridge'): Measurement => {
    const peak = { figure: 'RSS, peak', of, unit: 'MB', value: uses[of].rssPeakMb }
    const target = targets[of]
    return target ? { ...peak, target } : peak
  }
  const both = 'gateway + bridge'
  return [
    cpu('gateway', gateway.cpuSeconds),
    cpu('bridge', bridge.cpuSeconds),
    { ...cpu(both, sum(gateway.cpuSeconds, bridge.cpuSeconds)), target: targets.cpu },
    cpu('Kafka', kafka.cpuSeconds),
    cpu('reader', reader.cpuSeconds),
    disk('gateway', gateway.writtenBytes),
    disk('bridge', bridge.writtenBytes),
    { ...disk(both, sum(gateway.writtenBytes, bridge.writtenBytes)), target: targets.disk },
    rss('gateway'),
    rss('bridge'),
  ]
}

export function soundnessOf({ judged, load, othersShare }: Delivery): Measurement[] {
  const none = { of: null, unit: 'messages', target: { atMost: 0 } }
  return [
    { figure: 'lost', ...none, value: judged.lost },
    { figure: 'out of order', ...none, value: judged.inversions },
    { figure: 'raw duplicates', of: null, unit: 'records', value: judged.rawDuplicates },
    { figure: 'CPU', of: 'generator', unit: 's/million', value: load.cpuSecondsPerMillion },
    { figure: 'processors taken by others', of: null, unit: 'share', value: othersShare },
  ]
}
