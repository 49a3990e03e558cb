import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LocalKafka, startLocalKafka } from '../kafka/local-kafka.ts'
import { rehearseClock } from './clock.ts'
import { diskFaults, rehearseDisk } from './disk.ts'
import { type Injection, prepareInjection } from './inject.ts'
import { rehearseKill } from './kill.ts'
import { rehearseOutage } from './outage.ts'
import type { Outcome, Skipped } from './outcome.ts'
import { rehearseRestore } from './restore.ts'
import { openStage, type Stage, type StageOptions } from './stage.ts'
import { rehearseWeek } from './week.ts'

const NO_COMPILER = 'there is no C compiler (cc, gcc, clang) on this machine'

export type RehearseOptions = {
  faults: readonly string[]
  /** How often each is injected; each has a small number of its own for want of it. */
  times?: number | undefined
  seed: number
  ratePerSecond: number
  cacheDir: string
  env: NodeJS.ProcessEnv
  onProgress(line: string): void
}

type Context = RehearseOptions & { kafka: LocalKafka }
type Rehearsal = (context: Context) => Promise<Outcome | Skipped>

const faults: Record<string, Rehearsal> = {
  kill: context =>
    onStage(context, {}, stage => rehearseKill(stage, { ...context, times: timesOf(context, 10) })),
  'kafka-outage': context =>
    onStage(context, {}, stage =>
      rehearseOutage(stage, context.kafka, { times: timesOf(context, 1), outageMs: 8000 }),
    ),
  restore: context =>
    onStage(context, {}, stage => rehearseRestore(stage, { times: timesOf(context, 2) })),
  ...Object.fromEntries(
    Object.keys(diskFaults).map(fault => [
      fault,
      (context: Context) =>
        withInjection(context, fault, (stage, injection) =>
          rehearseDisk(stage, injection, { fault, times: timesOf(context, 2) }),
        ),
    ]),
  ),
  clock: context =>
    withInjection(context, 'clock', (stage, injection) =>
      rehearseClock(stage, injection, { times: timesOf(context, 1) }),
    ),
}

/** Promises broken on purpose, and the rehearsal that must notice. */
const selfTests: Record<
  string,
  { part: 'gateway' | 'bridge'; noticed: (c: Context, s: Stage) => Promise<Outcome> }
> = {
  'ack-before-commit': {
    part: 'gateway',
    noticed: (context, stage) =>
      rehearseKill(stage, { ...context, times: 6, victims: ['gateway'] }),
  },
  'position-before-send': {
    part: 'bridge',
    noticed: ({ kafka }, stage) => rehearseOutage(stage, kafka, { times: 1, outageMs: 6000 }),
  },
}

/** Whether the rehearsals notice a broken promise: passed means that they do. */
async function selfTest(context: Context, sabotage: string): Promise<Outcome> {
  const { part, noticed } = selfTests[sabotage]!
  const hooks = new URL(`./sabotage.ts?${sabotage}`, import.meta.url).href
  const env = { NODE_OPTIONS: `--import=${hooks}` }
  const outcome = await onStage(context, { partEnv: { [part]: env } }, stage =>
    noticed(context, stage),
  )
  const isCaught = !outcome.passed && outcome.lost > 0
  const remarks = isCaught ? `caught: ${outcome.lost} lost` : `NOT CAUGHT; ${outcome.remarks}`
  return { ...outcome, fault: `self-test-${sabotage}`, remarks, passed: isCaught }
}

const timesOf = ({ times }: Context, own: number) => times ?? own

/** What takes longer than anybody waits for; `all` leaves it out. */
export const longRehearsals: Record<string, Rehearsal> = {
  week: context =>
    onStage(context, {}, stage =>
      rehearseWeek(stage, context.kafka, {
        events: timesOf(context, 10_000_000),
        restarts: 6,
        onProgress: context.onProgress,
      }),
    ),
}

/** Every fault that can be rehearsed, and the self-test, in the order of the table. */
export const rehearsals: Record<string, Rehearsal> = {
  ...faults,
  ...Object.fromEntries(
    Object.keys(selfTests).map(sabotage => [
      `self-test-${sabotage}`,
      (context: Context) => selfTest(context, sabotage),
    ]),
  ),
}

/**
 * Injects faults into gateway and bridge of this machine, with simulated devices and a Kafka of
 * its own in a temporary directory, and gives a row each. Rejects with KafkaProblem without Java.
 */
export async function rehearse(options: RehearseOptions): Promise<(Outcome | Skipped)[]> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-rehearsal-'))
  try {
    const { cacheDir, onProgress } = options
    await using kafka = await startLocalKafka({ dir, port: 0, cacheDir, onProgress })
    const rows: (Outcome | Skipped)[] = []
    for (const fault of options.faults) {
      onProgress(`rehearsing ${fault}`)
      rows.push(await { ...rehearsals, ...longRehearsals }[fault]!({ ...options, kafka }))
    }
    return rows
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Runs one rehearsal on gateway, bridge, devices and topics that no other has. */
export async function onStage<T>(
  { cacheDir, env, seed, ratePerSecond, kafka }: Context,
  more: Pick<StageOptions, 'partEnv'>,
  run: (stage: Stage) => Promise<T>,
): Promise<T> {
  const id = randomUUID()
  const names = ['readings', 'deadletters', 'ledger']
  const topics = Object.fromEntries(names.map(name => [name, `rehearsal-${name}-${id}`]))
  const simulation = { ratePerSecond, seed }
  const { brokers } = kafka
  await using stage = await openStage({
    simulation,
    cacheDir,
    env,
    kafka: { brokers, topics },
    ...more,
  })
  return await run(stage)
}

async function withInjection(
  context: Context,
  fault: string,
  run: (stage: Stage, injection: Injection) => Promise<Outcome>,
): Promise<Outcome | Skipped> {
  using injection = prepareInjection()
  if (!injection) return { fault, skipped: NO_COMPILER }
  return await onStage(context, { partEnv: { gateway: injection.env } }, stage =>
    run(stage, injection),
  )
}
