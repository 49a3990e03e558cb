import { fetchState } from '../../../simulators/processes/sluice-process.ts'
import type { LoadOptions, LoadResult } from '../load/load.ts'
import type { Measurement } from '../measure/figures.ts'
import { createMeter, perUnit, type ResourceUse } from '../measure/meter.ts'
import { runBenchProcess, startBenchProcess } from '../setup/bench-process.ts'
import { createSetup } from '../setup/setup.ts'
import type { Bench, BenchCase } from './bench-case.ts'

type Ingested = { load: LoadResult; use: ResourceUse; othersShare: number | null }

/**
 * Acknowledged ingest: the gateway, which stores each message before its PUBACK, compared with
 * aedes alone, which stores nothing. Both are warmed up and receive the same load from one
 * generator.
 */
export const ingest: BenchCase = {
  needsKafka: false,
  size: ({ ingest }) => ingest,
  async run(bench) {
    const { sluice, notStored } = await measureGateway(bench)
    const bare = await measureBareAedes(bench)
    const ratio = sluice.load.acksPerSecond / bare.load.acksPerSecond
    return [
      ...figuresOf('gateway', sluice),
      ...figuresOf('bare aedes', bare),
      {
        figure: 'acknowledged, not stored',
        of: 'gateway',
        unit: 'messages',
        value: notStored,
        target: { atMost: 0 },
      },
      {
        figure: 'acknowledged, gateway to bare aedes',
        of: null,
        unit: 'ratio',
        value: ratio,
        target: { atLeast: 0.5 },
      },
    ]
  },
}

async function measureGateway(bench: Bench) {
  const setup = await createSetup(bench.dir, [])
  await using gateway = await setup.startGateway()
  const sluice = await measureIngest(bench, setup.mqttPort, gateway.pid!)
  const { warmUpMessages } = bench.sizes.ingest
  const stored = (await fetchState<'gateway'>(setup.gatewayHttp))?.lastSequence ?? 0
  return { sluice, notStored: warmUpMessages + sluice.load.acknowledged - stored }
}

async function measureBareAedes(bench: Bench): Promise<Ingested> {
  await using aedes = await startBenchProcess('bare/aedes.ts', {}, bench.signal)
  const { port } = await aedes.answer<{ port: number }>()
  return await measureIngest(bench, port, aedes.pid)
}

async function measureIngest({ sizes, signal }: Bench, port: number, pid: number) {
  const { warmUpMessages, messages } = sizes.ingest
  const ask = (options: LoadOptions) => runBenchProcess<LoadResult>('load/load.ts', options, signal)
  await ask({ port, messages: warmUpMessages })
  const meter = createMeter({ broker: pid })
  const load = await ask({ port, messages })
  const { broker: use } = meter.read()
  const ours = (use.cpuSeconds ?? 0) + (load.cpuSecondsPerMillion * messages) / 1e6
  return { load, use, othersShare: meter.othersShare(ours) }
}

function figuresOf(of: string, { load, use, othersShare }: Ingested): Measurement[] {
  const { acknowledged } = load
  const perMillion = perUnit(use.cpuSeconds, acknowledged, 1e6)
  return [
    { figure: 'acknowledged', of, unit: '1/s', value: load.acksPerSecond },
    { figure: 'CPU', of, unit: 's/million', value: perMillion },
    { figure: 'RSS, peak', of, unit: 'MB', value: use.rssPeakMb },
    {
      figure: 'to disk',
      of,
      unit: 'bytes/reading',
      value: perUnit(use.writtenBytes, acknowledged),
    },
    { figure: 'PUBACK, p50', of, unit: 'ms', value: load.ackMs?.p50 ?? null },
    { figure: 'PUBACK, p99', of, unit: 'ms', value: load.ackMs?.p99 ?? null },
    {
      figure: 'CPU of the generator',
      of,
      unit: 's/million',
      value: load.cpuSecondsPerMillion,
      target: { below: 10 },
    },
    { figure: 'processors taken by others', of, unit: 'share', value: othersShare },
  ]
}
