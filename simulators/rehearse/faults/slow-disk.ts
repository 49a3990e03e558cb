import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultInjection } from '../inject/injection.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'
import { startPings } from './pings.ts'

/** A good card, a worn one, and one that is about to fail. */
const DELAYS_MS = [10, 100, 500]
const PHASE_MS = 4000
/** So many messages a fsync at least, where one takes long; what each device sends waits for it. */
const GROUP_MIN = 20
const PING_MAX_MS = 1000

/**
 * Slows each fsync of the gateway down while devices publish: groups must grow, so that as much is
 * acknowledged as before, and a device that only pings must not notice.
 */
export async function rehearseSlowDisk(
  stage: Stage,
  injection: FaultInjection,
  { times }: { times: number },
): Promise<RehearsalOutcome> {
  const { devices, config } = stage
  const running = new AbortController()
  const run = devices.run(running.signal)
  const acknowledged = () => devices.counters().acknowledged
  const remarks: string[] = []
  let isWell = true
  {
    await using pings = await startPings(config.gateway.mqtt)
    for (let time = 0; time < times; time++) {
      for (const syncDelayMs of DELAYS_MS) {
        injection.setFaults({ syncDelayMs })
        await sleep(PHASE_MS / 4)
        const before = acknowledged()
        pings.takeTimes()
        await sleep(PHASE_MS)
        const rate = Math.round((acknowledged() - before) / (PHASE_MS / 1000))
        const answers = pings.takeTimes().sort((a, b) => a - b)
        const p99 = answers[Math.floor(answers.length * 0.99)] ?? Number.POSITIVE_INFINITY
        const perFsync = (rate * syncDelayMs) / 1000
        isWell &&= rate > 0 && p99 < PING_MAX_MS && (syncDelayMs < 100 || perFsync >= GROUP_MIN)
        remarks.push(`${syncDelayMs} ms a fsync: ${rate} acks/s, ping p99 ${p99.toFixed(1)} ms`)
      }
    }
    injection.setFaults({})
  }
  running.abort()
  await run
  const left = await stage.drain()
  if (left > 0) remarks.push(`${left} still in the outbox`)
  const outcome = outcomeOf('slow-disk', times, await stage.judge(), remarks)
  return { ...outcome, passed: outcome.passed && isWell }
}
