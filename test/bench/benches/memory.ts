import type { Measurement } from '../measure/figures.ts'
import { readResourceUse } from '../measure/meter.ts'
import { openPipeline } from '../setup/pipeline.ts'
import { pause } from '../setup/setup.ts'
import type { BenchCase } from './bench-case.ts'

const SETTLED_AFTER_MS = 60_000
const SETTLED_AFTER_SHARE = 0.1
const NAMES = ['gateway', 'bridge'] as const
const LIMITS_MB = { gateway: 150, bridge: 130 }

type Name = (typeof NAMES)[number]
type MemorySample = { atMs: number; rssMb: number | null }

/**
 * RSS of gateway and bridge every few seconds at a constant load, which shows whether memory grows.
 */
export const memory: BenchCase = {
  needsKafka: true,
  size: ({ memory }) => memory,
  async run(bench) {
    const { ratePerSecond, minutes, sampleEveryMs } = bench.sizes.memory
    const totalMs = minutes * 60_000
    await using pipeline = await openPipeline(bench)
    await pipeline.openConnections()
    const samples: Record<Name, MemorySample[]> = { gateway: [], bridge: [] }
    const startedMs = performance.now()
    const sampling = setInterval(() => {
      const atMs = performance.now() - startedMs
      for (const name of NAMES)
        samples[name].push({ atMs, rssMb: readResourceUse(pipeline.pids[name]).rssMb })
    }, sampleEveryMs)
    try {
      await pipeline.load({ messages: Math.round((ratePerSecond * totalMs) / 1000), ratePerSecond })
      await pause(sampleEveryMs, bench.signal)
    } finally {
      clearInterval(sampling)
    }
    const settledMs = Math.min(SETTLED_AFTER_MS, totalMs * SETTLED_AFTER_SHARE)
    pipeline.throwIfRestarted()
    return NAMES.flatMap(of => figuresOf(of, samples[of], settledMs))
  },
}

function figuresOf(of: Name, samples: MemorySample[], settledMs: number): Measurement[] {
  const known = samples.flatMap(({ atMs, rssMb }) => (rssMb === null ? [] : [{ atMs, rssMb }]))
  const settled = known.filter(({ atMs }) => atMs >= settledMs)
  const figure = (name: string, value: number | undefined): Measurement => ({
    figure: `RSS, ${name}`,
    of,
    unit: 'MB',
    value: value ?? null,
  })
  const highest = known.length > 0 ? Math.max(...known.map(({ rssMb }) => rssMb)) : undefined
  return [
    figure('when settled', settled[0]?.rssMb),
    figure('at the end', settled.at(-1)?.rssMb),
    { ...figure('highest', highest), target: { below: LIMITS_MB[of] } },
    { ...figure('slope when settled', slopePerMinute(settled)), unit: 'MB/min' },
  ]
}

/** The slope of the least-squares line through the samples, in MB per minute. */
export function slopePerMinute(samples: { atMs: number; rssMb: number }[]): number | undefined {
  if (samples.length < 2) return undefined
  const mean = (of: 'atMs' | 'rssMb') =>
    samples.reduce((sum, sample) => sum + sample[of], 0) / samples.length
  const [meanMs, meanMb] = [mean('atMs'), mean('rssMb')]
  let [product, square] = [0, 0]
  for (const { atMs, rssMb } of samples) {
    product += (atMs - meanMs) * (rssMb - meanMb)
    square += (atMs - meanMs) ** 2
  }
  return (product / square) * 60_000
}
