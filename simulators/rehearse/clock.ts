import { setTimeout as sleep } from 'node:timers/promises'
import type { Injection } from './inject.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import type { Stage } from './stage.ts'

const STEP_MS = 1500
const YEAR_S = 31_557_600

/** To 1970, half a century back and forth, and back to what is right. */
const shiftsS = (nowMs: number) => [-Math.floor(nowMs / 1000), -50 * YEAR_S, 50 * YEAR_S, 0]

/**
 * Sets the gateway's clock wrong, and right, while devices publish: no order may depend on it.
 */
export async function rehearseClock(
  stage: Stage,
  injection: Injection,
  { times }: { times: number },
): Promise<Outcome> {
  const running = new AbortController()
  const run = stage.devices.run(running.signal)
  let jumps = 0
  for (let time = 0; time < times; time++) {
    for (const clockShiftS of shiftsS(Date.now())) {
      await sleep(STEP_MS)
      injection.set({ clockShiftS })
      jumps++
    }
  }
  await sleep(STEP_MS)
  running.abort()
  await run
  const left = await stage.drain()
  const remarks = [
    '1970, 50 years back and forth',
    ...(stage.gateway.restarts > 0 ? [`${stage.gateway.restarts} restarts`] : []),
    ...(left > 0 ? [`${left} still in the outbox`] : []),
  ]
  return outcomeOf('clock', jumps, await stage.judge(), remarks)
}
