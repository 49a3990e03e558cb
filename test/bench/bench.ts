// npm run bench -- [NAME…] [--runs N] [--quick] …: measures Sluice on this machine. Prints one line
// of JSON per figure and then a table on stdout, and progress on stderr.
import { mkdtemp, rm } from 'node:fs/promises'
import { homedir, loadavg } from 'node:os'
import { join } from 'node:path'
import { stopSignal } from '../../config/process/lifetime.ts'
import { describeJavaProblem } from '../../simulators/kafka/jars.ts'
import { type LocalKafka, startLocalKafka } from '../../simulators/kafka/local-kafka.ts'
import { type Arguments, readArguments, usageOf } from './arguments.ts'
import { backlog } from './benches/backlog.ts'
import type { Bench, BenchCase } from './benches/bench-case.ts'
import { consumers } from './benches/consumers.ts'
import { paced, throughput } from './benches/delivery.ts'
import { drain } from './benches/drain.ts'
import { faults } from './benches/faults.ts'
import { framing } from './benches/framing.ts'
import { ingest } from './benches/ingest.ts'
import { live } from './benches/live.ts'
import { memory } from './benches/memory.ts'
import { outage } from './benches/outage.ts'
import { recovery } from './benches/recovery.ts'
import { ready } from './benches/restart.ts'
import { type Figure, type Measurement, summarizeRuns } from './measure/figures.ts'
import { tableOf } from './measure/table.ts'
import { contextOf } from './setup/context.ts'
import { createBenchDirectory } from './setup/directory.ts'

const STOP_MS = 15_000
const parts: Record<string, BenchCase> = {
  ...{
    ingest,
    throughput,
    paced,
    drain,
    backlog,
    live,
    recovery,
    outage,
    memory,
    ready,
    framing,
    consumers,
    faults,
  },
}
const cacheDir = process.env.SLUICE_CACHE ?? join(homedir(), '.cache', 'sluice')

const asked = argumentsOrExit()
const context = contextOf(asked)
const signal = stopSignal(STOP_MS)
const isWhole = await bench(asked, signal)
process.exit(signal.aborted ? 130 : isWhole ? 0 : 1)

/** Measures and prints the benches; false when a bench failed. */
async function bench(
  { names, runs, sizes, clients }: Arguments,
  signal: AbortSignal,
): Promise<boolean> {
  await using stack = new AsyncDisposableStack()
  const place = stack.use(await createBenchDirectory())
  if (place.isInMemory) say(`${place.dir} is in memory: disk figures mean nothing`)
  const kafka = startedOnce(stack, join(place.dir, 'kafka'))
  const problem = await describeJavaProblem({ cacheDir })
  const possible = names.filter(name => problem === null || !parts[name]!.needsKafka)
  const rows: { part: string; figure: Figure }[] = []
  const missing: string[] = []
  for (const part of names.filter(name => !possible.includes(name))) {
    print({ part, skipped: problem })
    missing.push(`${part} was skipped: ${problem}`)
  }
  const measured = new Map(possible.map(name => [name, [] as Measurement[][]]))
  let failures = 0
  for (let run = 1; run <= runs; run++) {
    for (const part of possible) {
      say(runs > 1 ? `${part}, run ${run} of ${runs}` : part)
      const figures = await runPart(part, { sizes, clients, kafka, signal }, place.dir)
      if (signal.aborted) return false
      if (Array.isArray(figures)) measured.get(part)!.push(figures)
      else {
        failures++
        print({ part, failed: figures.reason })
        missing.push(`${part} failed: ${figures.reason}`)
      }
      if (run < runs) continue
      for (const figure of summarizeRuns(measured.get(part)!)) {
        print({ part, ...figure, size: parts[part]!.size(sizes) })
        rows.push({ part, figure })
      }
    }
  }
  const table = rows.length > 0 ? ['', tableOf(rows)] : []
  process.stdout.write([...table, ...missing, ''].join('\n'))
  return failures === 0
}

async function runPart(part: string, bench: Omit<Bench, 'dir'>, parent: string) {
  const dir = await mkdtemp(join(parent, `${part}-`))
  try {
    return await parts[part]!.run({ ...bench, dir })
  } catch (error) {
    return { reason: (error as Error).message }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function startedOnce(stack: AsyncDisposableStack, dir: string): Bench['kafka'] {
  const start = async () =>
    stack.use(await startLocalKafka({ dir, port: 0, cacheDir, onProgress: say }))
  let started: Promise<LocalKafka> | undefined
  return () => {
    started ??= start()
    return started
  }
}

function argumentsOrExit(): Arguments {
  const names = Object.keys(parts)
  try {
    const asked = readArguments(process.argv.slice(2), names)
    if (typeof asked !== 'string') return asked
    process.stdout.write(asked)
    process.exit(0)
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n\n${usageOf(names)}`)
    process.exit(2)
  }
}

function print(line: object): void {
  const load = loadavg()[0]
  process.stdout.write(`${JSON.stringify({ ...line, ...context, load })}\n`)
}

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}
