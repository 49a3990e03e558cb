import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openOutboxReader } from '../../../gateway/store/read/outbox-reader.ts'
import type { FaultInjection } from '../inject/injection.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const STEP_MS = 1500
const NOTES_MAX_MS = 20_000
const YEAR_S = 31_557_600
const TOLERANCE_S = 120

/** How far the clock is set: to 1970, 50 years back, 50 years forward, and to the right time. */
const shiftsS = (nowMs: number) => [-Math.floor(nowMs / 1000), -50 * YEAR_S, 50 * YEAR_S, 0]

/**
 * Sets the gateway's clock to wrong times, and to the right time, while devices publish. The clock
 * must not influence any order of events. Once the clock is trusted, a note must give the offset of
 * each wrong setting.
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
  const hasOffsetNotes = await waitUntil(() => wrong.every(shiftS => hasOffsetNote(stage, shiftS)))
  running.abort()
  await run
  const undelivered = await stage.drain()
  const remarks = [
    '1970, 50 years back and forth',
    hasOffsetNotes ? 'a note for each clock offset' : 'NO note for some clock offset',
    ...(stage.gateway.restarts > 0 ? [`${stage.gateway.restarts} restarts`] : []),
    ...(undelivered > 0 ? [`${undelivered} still in the outbox`] : []),
  ]
  const outcome = outcomeOf('clock', jumps, await stage.judge(), remarks)
  return { ...outcome, passed: outcome.passed && hasOffsetNotes }
}

/** Whether a note gives this clock offset, within `TOLERANCE_S`. */
function hasOffsetNote(stage: Stage, shiftS: number): boolean {
  const offsets = clockNotes(stage).map(({ content }) => Number(content.offsetMs) / 1000)
  return offsets.some(offsetS => Math.abs(offsetS + shiftS) < TOLERANCE_S)
}

/** The notes of the outbox about events that were received with a wrong clock. */
function clockNotes({ config }: Stage) {
  const reader = openOutboxReader(config.outbox.file)
  try {
    return reader?.notesFrom(1).filter(({ kind }) => kind === 'clock') ?? []
  } finally {
    reader?.close()
  }
}

async function waitUntil(isTrue: () => boolean): Promise<boolean> {
  for (const end = performance.now() + NOTES_MAX_MS; !isTrue(); await sleep(100)) {
    if (performance.now() > end) return false
  }
  return true
}
