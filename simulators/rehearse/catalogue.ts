import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LocalKafka } from '../kafka/local-kafka.ts'
import { type FlipCounts, rehearseBitRot } from './bit-rot/bit-rot.ts'
import { cardFaults, rehearseCard } from './faults/cards.ts'
import { rehearseClock } from './faults/clock.ts'
import { rehearseConsumers } from './faults/consumers.ts'
import { diskFaults, rehearseDisk } from './faults/disk.ts'
import { rehearseKill } from './faults/kill.ts'
import { rehearseOutage } from './faults/outage.ts'
import { rehearseRestore } from './faults/restore.ts'
import { rehearseSlowDisk } from './faults/slow-disk.ts'
import { rehearseWeek } from './faults/week.ts'
import { NO_COMPILER } from './inject/compilation.ts'
import { type FaultInjection, openFaultInjection } from './inject/injection.ts'
import { rehearseConsumerCuts } from './power-cut/consumers/consumer-cuts.ts'
import {
  type PowerCutCounts,
  powerCutDir,
  rehearsePowerCuts,
  type Sabotage,
} from './power-cut/power-cut.ts'
import { addLedgerProof } from './stage/ledger-proof.ts'
import type { RehearsalOutcome, SkippedRehearsal } from './stage/outcome.ts'
import { type Stage, type StageOptions, startStage } from './stage/stage.ts'

/** The options and resources of a rehearsal. */
export type RehearsalContext = {
  /** How often the fault is injected; by default a small number that each rehearsal chooses. */
  times?: number | undefined
  seed: number
  ratePerSecond: number
  cacheDir: string
  env: NodeJS.ProcessEnv
  onProgress(line: string): void
  /** The Kafka of the rehearsals; the first call starts it. Rejects with a KafkaProblem. */
  kafka(): Promise<LocalKafka>
}

type Rehearsal = (context: RehearsalContext) => Promise<RehearsalOutcome | SkippedRehearsal>

const timesOf = ({ times }: RehearsalContext, byDefault: number) => times ?? byDefault

const faults: Record<string, Rehearsal> = {
  kill: context =>
    onStage(context, {}, stage => rehearseKill(stage, { ...context, times: timesOf(context, 10) })),
  'power-cut': context => powerCuts(context, timesOf(context, 200)),
  'consumer-power-cut': context => consumerPowerCuts(context, timesOf(context, 200)),
  'bit-rot': context => bitRot(context, timesOf(context, 60)),
  'kafka-outage': context =>
    onStage(context, {}, async stage =>
      rehearseOutage(stage, await context.kafka(), { times: timesOf(context, 1), outageMs: 8000 }),
    ),
  restore: context =>
    // With a long settleMs, the bridge's position is not durable yet when the gateway assigns new
    // numbers.
    onStage(context, { settleMs: 20_000 }, stage =>
      rehearseRestore(stage, { times: timesOf(context, 2) }),
    ),
  ...Object.fromEntries(Object.keys(cardFaults).map(fault => [fault, cardFault(fault)])),
  ...Object.fromEntries(Object.keys(diskFaults).map(fault => [fault, diskFault(fault)])),
  'slow-disk': context =>
    withInjection(context, { fault: 'slow-disk', processes: ['gateway'] }, (stage, injection) =>
      rehearseSlowDisk(stage, injection, { times: timesOf(context, 1) }),
    ),
  consumers: context =>
    onStage(context, {}, stage =>
      rehearseConsumers(stage, { ...context, times: timesOf(context, 8) }),
    ),
  clock: context =>
    withInjection(context, { fault: 'clock', processes: ['gateway'] }, (stage, injection) =>
      rehearseClock(stage, injection, { times: timesOf(context, 1) }),
    ),
}

/**
 * Self-tests: each self-test breaks a promise on purpose and runs the rehearsal that must detect
 * the broken promise.
 */
const selfTests: Record<string, Rehearsal> = {
  'ack-before-commit': context =>
    sabotaged(context, 'gateway', 'ack-before-commit', stage =>
      rehearseKill(stage, { ...context, times: 6, targets: ['gateway'] }),
    ),
  'no-fsync': context => powerCuts(context, 60, 'no-fsync'),
  'manifest-unsynced': context => consumerPowerCuts(context, 120, 'manifest-unsynced'),
  'archive-file-unsynced': context => consumerPowerCuts(context, 120, 'archive-file-unsynced'),
  'archive-name-unsynced': context => consumerPowerCuts(context, 120, 'archive-name-unsynced'),
  'state-unsynced': context => consumerPowerCuts(context, 120, 'state-unsynced'),
  'position-before-send': context =>
    sabotaged(context, 'bridge', 'position-before-send', async stage =>
      rehearseOutage(stage, await context.kafka(), { times: 1, outageMs: 6000 }),
    ),
  'judge-stores': cardFault('new-card', 'judge-names'),
}

/** Every rehearsal and self-test, in the order of the table. */
export const rehearsals: Record<string, Rehearsal> = {
  ...faults,
  ...Object.fromEntries(
    Object.entries(selfTests).map(([promise, rehearsal]) => [
      `self-test-${promise}`,
      async (context: RehearsalContext) =>
        selfTestOutcome(`self-test-${promise}`, await rehearsal(context)),
    ]),
  ),
}

/** Rehearsals that take long; `all` does not include them. */
export const longRehearsals: Record<string, Rehearsal> = {
  week: context =>
    onStage(context, {}, async stage =>
      rehearseWeek(stage, await context.kafka(), {
        events: timesOf(context, 10_000_000),
        restarts: 6,
        onProgress: context.onProgress,
      }),
    ),
}

/** The outcome of a self-test: passed when its rehearsal detected the broken promise. */
function selfTestOutcome(
  fault: string,
  outcome: RehearsalOutcome | SkippedRehearsal,
): RehearsalOutcome | SkippedRehearsal {
  if ('skipped' in outcome) return { ...outcome, fault }
  const isCaught = !outcome.passed && outcome.lost > 0
  const remarks = isCaught ? `caught: ${outcome.lost} lost` : `NOT CAUGHT; ${outcome.remarks}`
  return { ...outcome, fault, remarks, passed: isCaught }
}

async function powerCuts(
  { seed, onProgress }: RehearsalContext,
  times: number,
  sabotage?: Sabotage,
): Promise<RehearsalOutcome | SkippedRehearsal> {
  const fault = 'power-cut'
  const counts = await rehearsePowerCuts({
    times,
    seed,
    dir: powerCutDir(),
    onProgress: done => done % 1000 === 0 && onProgress(`power-cut: ${done} of ${times}`),
    ...(sabotage && { sabotage }),
  })
  if (!counts) return { fault, skipped: NO_COMPILER }
  const { points, acknowledged, lost, corrupt, cannotOpen, faults } = counts
  const remarks = [
    `${corrupt} corrupt, ${cannotOpen} did not open`,
    ...faults.slice(0, 1),
    ...coverageTexts(counts),
  ]
  const passed = lost + corrupt + cannotOpen === 0
  const row = { fault, times: points, acknowledged, lost, countedTwice: 0, outOfOrder: 0 }
  return { ...row, remarks: remarks.join('; '), passed }
}

/**
 * Power cuts under the archive and the state of consumers. In the outcome, `lost` also counts the
 * cut points that left wrong content.
 */
async function consumerPowerCuts(
  { seed }: RehearsalContext,
  times: number,
  sabotage?: string,
): Promise<RehearsalOutcome | SkippedRehearsal> {
  const fault = 'consumer-power-cut'
  const hooks = sabotage === undefined ? {} : { hooks: hooksOf(sabotage) }
  const counts = await rehearseConsumerCuts({ times, seed, dir: powerCutDir(), ...hooks })
  if (!counts) return { fault, skipped: NO_COMPILER }
  const { points, promised, corrupt, faults } = counts
  const lost = counts.lost + corrupt
  const row = { fault, times: points, acknowledged: promised, lost, countedTwice: 0, outOfOrder: 0 }
  const remarks = [`${corrupt} corrupt`, ...faults.slice(0, 1)].join('; ')
  return { ...row, remarks, passed: lost === 0 }
}

/** The module that breaks a promise in a process that imports the module first. */
const hooksOf = (sabotage: string) => new URL(`./sabotage.ts?${sabotage}`, import.meta.url).href

/** Texts with the number of cut points in each phase, and with what happened in the recordings. */
function coverageTexts({ byPhase, coverage }: PowerCutCounts): string[] {
  const phases = Object.entries(byPhase).map(([phase, points]) => `${phase} ${points}`)
  const recorded = Object.entries(coverage ?? {}).map(([kind, times]) => `${kind} ${times}`)
  return [phases.sort().join(', '), `recorded: ${recorded.join(', ')}`]
}

/**
 * In the outcome, `lost` counts losses without a note; the remarks count losses that a note names.
 */
async function bitRot(
  { seed, onProgress }: RehearsalContext,
  times: number,
): Promise<RehearsalOutcome> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-bit-rot-'))
  try {
    const onFlip = (done: number) => done % 100 === 0 && onProgress(`bit-rot: ${done} of ${times}`)
    const { readings, total, files, faults } = await rehearseBitRot({ times, seed, dir, onFlip })
    const perFile = Object.entries(files).map(([file, counts]) => `${file}: ${flipsText(counts)}`)
    const remarks = [flipsText(total), ...faults.slice(0, 1), ...perFile]
    const passed = faults.length === 0
    const acknowledged = readings * times
    const row = { fault: 'bit-rot', times, acknowledged, lost: faults.length, passed }
    return { ...row, countedTwice: 0, outOfOrder: 0, remarks: remarks.join('; ') }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function flipsText({ flips, lossy, ...counts }: FlipCounts): string {
  const { unused, harmless, recovered, lostReadings, lostReadingsMost } = counts
  const perFlip = flips > 0 ? (lostReadings / flips).toFixed(2) : '0'
  return (
    `${flips} flips, ${unused} in unused bytes, ${harmless} harmless, ${recovered} recovered, ` +
    `${lossy} lost and named (${perFlip} readings a flip, ${lostReadingsMost} at most)`
  )
}

function diskFault(fault: string): Rehearsal {
  return context =>
    withInjection(context, { fault, processes: ['gateway', 'bridge'] }, (stage, injection) =>
      rehearseDisk(stage, injection, { fault, times: timesOf(context, 2) }),
    )
}

/** Rehearses a lost, cloned or restored card, optionally with a sabotaged ledger. */
function cardFault(fault: string, sabotage?: string): Rehearsal {
  return context => {
    const { env } = context
    const ledgerEnv = sabotage === undefined ? env : { ...env, ...sabotagedEnv(sabotage) }
    const run = (stage: Stage) => rehearseCard(stage, { fault, env, ledgerEnv })
    // The rehearsal judges the ledger itself: the readings are lost.
    return onStage(context, {}, run, async (_, outcome) => outcome)
  }
}

const sabotagedEnv = (sabotage: string) => ({ NODE_OPTIONS: `--import=${hooksOf(sabotage)}` })

/** Runs a rehearsal on a stage in which one process is changed to break a promise. */
function sabotaged(
  context: RehearsalContext,
  name: 'gateway' | 'bridge',
  sabotage: string,
  run: (stage: Stage) => Promise<RehearsalOutcome>,
): Promise<RehearsalOutcome> {
  return onStage(context, { extraEnv: { [name]: sabotagedEnv(sabotage) } }, run)
}

/** Runs one rehearsal with its own gateway, bridge, devices and topics. */
async function onStage(
  { cacheDir, env, seed, ratePerSecond, kafka }: RehearsalContext,
  more: Pick<StageOptions, 'extraEnv' | 'settleMs'>,
  run: (stage: Stage) => Promise<RehearsalOutcome>,
  conclude = addLedgerProof,
): Promise<RehearsalOutcome> {
  const id = randomUUID()
  const names = ['readings', 'backfill', 'deadletters', 'ledger']
  const topics = Object.fromEntries(names.map(name => [name, `rehearsal-${name}-${id}`]))
  const simulation = { ratePerSecond, seed }
  const { brokers } = await kafka()
  const options = { simulation, cacheDir, env, kafka: { brokers, topics }, ...more }
  await using stage = await startStage(options)
  return await conclude(stage, await run(stage))
}

async function withInjection(
  context: RehearsalContext,
  { fault, processes }: { fault: string; processes: ('gateway' | 'bridge')[] },
  run: (stage: Stage, injection: FaultInjection) => Promise<RehearsalOutcome>,
): Promise<RehearsalOutcome | SkippedRehearsal> {
  using injection = openFaultInjection()
  if (!injection) return { fault, skipped: NO_COMPILER }
  const more = { extraEnv: Object.fromEntries(processes.map(name => [name, injection.env])) }
  return await onStage(context, more, stage => run(stage, injection))
}
