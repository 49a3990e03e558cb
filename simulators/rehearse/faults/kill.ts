import { setTimeout as sleep } from 'node:timers/promises'
import { mulberry32 } from '../../building/random.ts'
import { fetchState } from '../../processes/sluice-process.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const BACK_MS = 20_000
const WAIT_MAX_MS = 800

/** Who is killed: drawn from the seed, the gateway most often, because it acknowledges. */
const anyVictim: KillTarget[] = ['gateway', 'gateway', 'gateway', 'bridge', 'bridge', 'both']

export type KillTarget = 'gateway' | 'bridge' | 'both'

export type KillOptions = {
  times: number
  seed: number
  /** Who is killed, as often as it stands here; any of them otherwise. */
  targets?: KillTarget[]
  onProgress(line: string): void
}

/**
 * Kills gateway, bridge or both with SIGKILL at seeded random instants while devices publish, then
 * lets everything arrive and judges by the devices' own record. `hits` are the kills that met
 * messages on their way to be acknowledged.
 */
export async function rehearseKill(
  stage: Stage,
  options: KillOptions,
): Promise<RehearsalOutcome & { hits: number }> {
  const { times, seed, targets = anyVictim, onProgress } = options
  const random = mulberry32(seed)
  const running = new AbortController()
  const run = stage.devices.run(running.signal)
  const count = { unacknowledged: 0, readyMaxMs: 0 }
  for (let kill = 1; kill <= times; kill++) {
    const victim = targets[Math.floor(random() * targets.length)]!
    await untilAcknowledging(stage)
    await sleep(random() * WAIT_MAX_MS)
    const hit = stage.devices.counters().inFlight > 0
    if (hit && victim !== 'bridge') count.unacknowledged++
    const names = victim === 'both' ? (['gateway', 'bridge'] as const) : [victim]
    const killed = names.map(name => killAndWait(stage, name))
    for (const readyMs of await Promise.all(killed)) {
      count.readyMaxMs = Math.max(count.readyMaxMs, readyMs)
    }
    if (kill % 10 === 0) onProgress(`kill: ${kill} of ${times}`)
  }
  running.abort()
  await run
  const left = await stage.drain()
  const remarks = [
    `${count.unacknowledged} hit unacknowledged messages`,
    `ready again within ${Math.round(count.readyMaxMs)} ms of its start`,
    ...(left > 0 ? [`${left} still in the outbox`] : []),
  ]
  const outcome = outcomeOf('kill', times, await stage.judge(), remarks)
  return { ...outcome, hits: count.unacknowledged }
}

/** Devices got an acknowledgement since the call: the one before is over. */
async function untilAcknowledging({ devices }: Stage): Promise<void> {
  const { acknowledged } = devices.counters()
  await until(() => devices.counters().acknowledged > acknowledged, 'acknowledgements')
}

/** Gives the time from the new process's start until it answered, in ms. */
async function killAndWait(stage: Stage, name: 'gateway' | 'bridge'): Promise<number> {
  const part = stage[name]
  const { restarts } = part
  part.kill('SIGKILL')
  await until(() => part.restarts > restarts, `a restart of the ${name}`)
  const since = performance.now()
  const { http } = stage.config[name]
  const answers = async () => part.pid !== null && (await fetchState(http))?.pid === part.pid
  await until(answers, `the ${name}`)
  return performance.now() - since
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + BACK_MS
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${BACK_MS} ms for ${what} in vain`)
    await sleep(10)
  }
}
