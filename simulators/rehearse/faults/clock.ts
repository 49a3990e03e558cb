import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openOutboxReader } from '../../../gateway/store/read/outbox-reader.ts'
import type { FaultInjection } from '../inject/injection.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const STEP_MS = 1500
const RETIMED_MS = 20_000
const YEAR_S = 31_557_600
const TOLERANCE_S = 120

/** To 1970, half a century back and forth, and back to what is right. */
const shiftsS = (nowMs: number) => [-Math.floor(nowMs / 1000), -50 * YEAR_S, 50 * YEAR_S, 0]

/**
 * Sets the gateway's clock wrong, and right, while devices publish: no order may depend on it, and
 * once the clock is trusted a note must say how far each wrong setting was off.
 */
export async function rehearseClock(
  stage: Stage,
  injection: FaultInjection,
  { times }: { times: number },
): Promise<RehearsalOutcome> {
  const running = new AbortController()
  const run = stage.devices.run(running.signal)
  let jumps = 0
  for (let time = 0; time < times; time++) {
    for (const clockShiftS of shiftsS(Date.now())) {
      await sleep(STEP_MS)
      injection.setFaults({ clockShiftS })
      jumps++
    }
  }
  writeFileSync(stage.config.gateway.clock.syncedFile, '')
  const wrong = shiftsS(Date.now()).filter(shiftS => shiftS !== 0)
  const isRetimed = await until(() => wrong.every(shiftS => hasBeenTold(stage, shiftS)))
  running.abort()
  await run
  const left = await stage.drain()
  const remarks = [
    '1970, 50 years back and forth',
    isRetimed ? 'told how far each was off' : 'NOT told how far each was off',
    ...(stage.gateway.restarts > 0 ? [`${stage.gateway.restarts} restarts`] : []),
    ...(left > 0 ? [`${left} still in the outbox`] : []),
  ]
  const outcome = outcomeOf('clock', jumps, await stage.judge(), remarks)
  return { ...outcome, passed: outcome.passed && isRetimed }
}

/** Whether some events are said to be off by as much as the clock was, within some seconds. */
function hasBeenTold(stage: Stage, shiftS: number): boolean {
  const offsets = clockNotes(stage).map(({ content }) => Number(content.offsetMs) / 1000)
  return offsets.some(offsetS => Math.abs(offsetS + shiftS) < TOLERANCE_S)
}

/** What the outbox says of events that were received by a wrong clock. */
function clockNotes({ config }: Stage) {
  const reader = openOutboxReader(config.outbox.file)
  try {
    return reader?.notesFrom(1).filter(({ kind }) => kind === 'clock') ?? []
  } finally {
    reader?.close()
  }
}

async function until(holds: () => boolean): Promise<boolean> {
  for (const end = performance.now() + RETIMED_MS; !holds(); await sleep(100)) {
    if (performance.now() > end) return false
  }
  return true
}
