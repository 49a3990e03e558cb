import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultInjection } from '../inject/injection.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'
import { startPings } from './pings.ts'

/**
 * The duration of an fsync on a good memory card, on a worn card, and on a card that is about to
 * fail.
 */
const DELAYS_MS = [10, 100, 500]
const PHASE_MS = 4000
/** The least number of acknowledgements for each fsync when an fsync takes 100 ms or longer. */
const GROUP_MIN = 20
const PING_MAX_MS = 1000

/**
 * Delays each fsync of the gateway while devices publish. The group commits must grow, so that the
 * rate of acknowledgements does not fall, and the ping times of an idle device must stay short.
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
  let isFastEnough = true
  {
    await using pings = await startPings(config.gateway.mqtt)
    for (let time = 0; time < times; time++) {
      for (const syncDelayMs of DELAYS_MS) {
        injection.setFaults({ syncDelayMs })
        await sleep(PHASE_MS / 4)
        const before = acknowledged()
        pings.drainTimesMs()
        await sleep(PHASE_MS)
        const rate = Math.round((acknowledged() - before) / (PHASE_MS / 1000))
        const pingTimes = pings.drainTimesMs().sort((a, b) => a - b)
        const p99 = pingTimes[Math.floor(pingTimes.length * 0.99)] ?? Number.POSITIVE_INFINITY
        const perFsync = (rate * syncDelayMs) / 1000
        isFastEnough &&=
          rate > 0 && p99 < PING_MAX_MS && (syncDelayMs < 100 || perFsync >= GROUP_MIN)
        remarks.push(`${syncDelayMs} ms an fsync: ${rate} acks/s, ping p99 ${p99.toFixed(1)} ms`)
      }
    }
    injection.setFaults({})
  }
  running.abort()
  await run
  const undelivered = await stage.drain()
  if (undelivered > 0) remarks.push(`${undelivered} still in the outbox`)
  const outcome = outcomeOf('slow-disk', times, await stage.judge(), remarks)
  return { ...outcome, passed: outcome.passed && isFastEnough }
}
