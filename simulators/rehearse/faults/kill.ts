import { setTimeout as sleep } from 'node:timers/promises'
import { mulberry32 } from '../../building/random.ts'
import { fetchState } from '../../processes/sluice-process.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const TIMEOUT_MS = 20_000
const PAUSE_MAX_MS = 800

/**
 * The targets from which each kill is drawn. The gateway is most frequent, because the gateway
 * acknowledges.
 */
const defaultTargets: KillTarget[] = ['gateway', 'gateway', 'gateway', 'bridge', 'bridge', 'both']

export type KillTarget = 'gateway' | 'bridge' | 'both'

export type KillOptions = {
  times: number
  seed: number
  /** The targets from which each kill is drawn; `defaultTargets` by default. */
  targets?: KillTarget[]
  onProgress(line: string): void
}

/**
 * Kills gateway, bridge or both with SIGKILL at seeded random moments while devices publish. Then
 * waits until everything is delivered, and judges by the devices' own record. `hits` counts the
 * kills of a gateway that had not acknowledged every message.
 */
export async function rehearseKill(
  stage: Stage,
  options: KillOptions,
): Promise<RehearsalOutcome & { hits: number }> {
  const { times, seed, targets = defaultTargets, onProgress } = options
  const random = mulberry32(seed)
  const running = new AbortController()
  const run = stage.devices.run(running.signal)
  const count = { unacknowledged: 0, readyMaxMs: 0 }
  for (let kill = 1; kill <= times; kill++) {
    const target = targets[Math.floor(random() * targets.length)]!
    await waitForAcknowledgement(stage)
    await sleep(random() * PAUSE_MAX_MS)
    const isHit = stage.devices.counters().inFlight > 0
    if (isHit && target !== 'bridge') count.unacknowledged++
    const names = target === 'both' ? (['gateway', 'bridge'] as const) : [target]
    const kills = names.map(name => killAndWait(stage, name))
    for (const readyMs of await Promise.all(kills)) {
      count.readyMaxMs = Math.max(count.readyMaxMs, readyMs)
    }
    if (kill % 10 === 0) onProgress(`kill: ${kill} of ${times}`)
  }
  running.abort()
  await run
  const undelivered = await stage.drain()
  const remarks = [
    `${count.unacknowledged} hit unacknowledged messages`,
    `ready within ${Math.round(count.readyMaxMs)} ms of the restart`,
    ...(undelivered > 0 ? [`${undelivered} still in the outbox`] : []),
  ]
  const outcome = outcomeOf('kill', times, await stage.judge(), remarks)
  return { ...outcome, hits: count.unacknowledged }
}

/** Waits for a new acknowledgement, which shows that the effects of the previous kill are over. */
async function waitForAcknowledgement({ devices }: Stage): Promise<void> {
  const { acknowledged } = devices.counters()
  await waitUntil(() => devices.counters().acknowledged > acknowledged, 'acknowledgements')
}

/** Kills a process and waits until its restart answers; returns the ms from start to answer. */
async function killAndWait(stage: Stage, name: 'gateway' | 'bridge'): Promise<number> {
  const child = stage[name]
  const { restarts } = child
  child.kill('SIGKILL')
  await waitUntil(() => child.restarts > restarts, `a restart of the ${name}`)
  const startMs = performance.now()
  const { http } = stage.config[name]
  const answers = async () => child.pid !== null && (await fetchState(http))?.pid === child.pid
  await waitUntil(answers, `an answer of the restarted ${name}`)
  return performance.now() - startMs
}

async function waitUntil(
  isTrue: () => boolean | Promise<boolean>,
  condition: string,
): Promise<void> {
  const deadlineMs = performance.now() + TIMEOUT_MS
  while (!(await isTrue())) {
    if (performance.now() > deadlineMs)
      throw new Error(`gave up after ${TIMEOUT_MS} ms of waiting for ${condition}`)
    await sleep(10)
  }
}
