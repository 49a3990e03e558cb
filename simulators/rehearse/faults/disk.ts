import { setTimeout as sleep } from 'node:timers/promises'
import { fetchState } from '../../processes/sluice-process.ts'
import type { FaultInjection, InjectedFaults } from '../inject/injection.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const BEFORE_MS = 1500
const FAULT_MS = 2500
const SETTLE_MS = 300

/** What an operator calls it, and what the system calls answer. */
export const diskFaults: Record<string, InjectedFaults> = {
  'full-disk': { writes: 'ENOSPC' },
  'read-only': { writes: 'EROFS' },
  'disk-error': { syncs: 'EIO' },
}

/**
 * Lets the disk of gateway and bridge fail while devices publish: nothing may be acknowledged
 * meanwhile; when the disk is well again, so must they be, by themselves. A full disk ends neither.
 */
export async function rehearseDisk(
  stage: Stage,
  injection: FaultInjection,
  { fault, times }: { fault: keyof typeof diskFaults; times: number },
): Promise<RehearsalOutcome> {
  const { devices, config } = stage
  const running = new AbortController()
  const run = devices.run(running.signal)
  const acknowledged = () => devices.counters().acknowledged
  let [falseAcks, recoveredMaxMs] = [0, 0]
  for (let time = 0; time < times; time++) {
    await sleep(BEFORE_MS)
    injection.setFaults(diskFaults[fault]!)
    // What was committed just before may still be on its way to the devices.
    await sleep(SETTLE_MS)
    const before = acknowledged()
    await sleep(FAULT_MS)
    falseAcks += acknowledged() - before
    injection.setFaults({})
    recoveredMaxMs = Math.max(recoveredMaxMs, await untilMore(acknowledged))
  }
  running.abort()
  await run
  const left = await stage.drain()
  const remarks = [
    `${falseAcks} false acknowledgements`,
    `acknowledging again after at most ${Math.round(recoveredMaxMs)} ms`,
    `${stage.gateway.restarts} restarts of the gateway, ${stage.bridge.restarts} of the bridge`,
    ...(left > 0 ? [`${left} still in the outbox`] : []),
  ]
  const restarts = stage.gateway.restarts + stage.bridge.restarts
  const isUp = diskFaults[fault]!.writes !== 'ENOSPC' || restarts === 0
  const isReady = (await fetchState(config.gateway.http)) !== null
  const outcome = outcomeOf(String(fault), times, await stage.judge(), remarks)
  return { ...outcome, passed: outcome.passed && falseAcks === 0 && isReady && isUp }
}

/** How long it took until there was more, in ms; Infinity when nothing came for long. */
async function untilMore(count: () => number): Promise<number> {
  const [start, since] = [count(), performance.now()]
  while (count() === start) {
    if (performance.now() - since > 30_000) return Number.POSITIVE_INFINITY
    await sleep(20)
  }
  return performance.now() - since
}
