import { setTimeout as sleep } from 'node:timers/promises'
import { fetchState } from '../../processes/sluice-process.ts'
import type { FaultInjection, InjectedFaults } from '../inject/injection.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const BEFORE_MS = 1500
const FAULT_MS = 2500
const IN_TRANSIT_MS = 300

/** The disk faults by name, and the errors that the system calls return. */
export const diskFaults: Record<string, InjectedFaults> = {
  'full-disk': { writes: 'ENOSPC' },
  'read-only': { writes: 'EROFS' },
  'disk-error': { syncs: 'EIO' },
}

/**
 * Makes the disk of gateway and bridge fail while devices publish. Nothing may be acknowledged
 * during the fault. After the fault both must recover without help. A full disk must not end
 * either process.
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
    // Acknowledgements of commits before the fault may still be on their way to the devices.
    await sleep(IN_TRANSIT_MS)
    const before = acknowledged()
    await sleep(FAULT_MS)
    falseAcks += acknowledged() - before
    injection.setFaults({})
    recoveredMaxMs = Math.max(recoveredMaxMs, await timeUntilMore(acknowledged))
  }
  running.abort()
  await run
  const undelivered = await stage.drain()
  const remarks = [
    `${falseAcks} false acknowledgements`,
    `acknowledgements resumed after at most ${Math.round(recoveredMaxMs)} ms`,
    `${stage.gateway.restarts} restarts of the gateway, ${stage.bridge.restarts} of the bridge`,
    ...(undelivered > 0 ? [`${undelivered} still in the outbox`] : []),
  ]
  const restarts = stage.gateway.restarts + stage.bridge.restarts
  const staysUp = diskFaults[fault]!.writes !== 'ENOSPC' || restarts === 0
  const isReady = (await fetchState(config.gateway.http)) !== null
  const outcome = outcomeOf(String(fault), times, await stage.judge(), remarks)
  return { ...outcome, passed: outcome.passed && falseAcks === 0 && isReady && staysUp }
}

/** Waits until the count changes. Returns how long that took in ms, or Infinity after 30 s. */
async function timeUntilMore(count: () => number): Promise<number> {
  const [startCount, startMs] = [count(), performance.now()]
  while (count() === startCount) {
    if (performance.now() - startMs > 30_000) return Number.POSITIVE_INFINITY
    await sleep(20)
  }
  return performance.now() - startMs
}
