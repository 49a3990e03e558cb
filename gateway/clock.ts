import type { ClockState } from '../config/event/sensor-reading.ts'
import { pause } from '../config/process/pause.ts'
import {
  type ClockAnswer,
  type ClockOptions,
  clockCure,
  type RunTool,
  readClock,
  runTool,
} from '../config/process/time-sources.ts'

const CHECK_EVERY_MS = 10_000
/** The start of the gateway waits at most this long for the first answer. */
const START_WITHIN_MS = 1000
/** A tool that answered, or that is not there, is asked again after this time. */
const ASK_TOOL_EVERY_MS = 60_000
/** An alarm begins when the clock is not confirmed for this time. */
const ALARM_AFTER_MS = 600_000

export type Clock = Awaited<ReturnType<typeof startClock>>

/**
 * Reports how far the clock of this machine can be trusted. SYNCED: the first source that answers
 * says that the clock is synchronised. HOLDOVER: a source said so earlier in this run. UNSYNCED: no
 * source has said so in this run. Looks for the file of systemd-timesyncd every ten seconds until
 * `close`, and runs each tool at most once a minute.
 */
export async function startClock(
  options: ClockOptions,
  run: RunTool = runTool,
  monotonicMs = () => performance.now(),
) {
  const runRarely = rememberOutputs(run, monotonicMs)
  let state: ClockState = 'UNSYNCED'
  let answer: ClockAnswer = { source: null, isSynchronised: false, answers: {} }
  let confirmedAtMs = monotonicMs()
  let checking: Promise<void> | null = null
  const check = async () => {
    answer = await readClock(options, runRarely)
    if (answer.isSynchronised) {
      state = 'SYNCED'
      confirmedAtMs = monotonicMs()
    } else if (state === 'SYNCED') state = 'HOLDOVER'
  }
  const checkOnce = () => {
    checking ??= check().finally(() => {
      checking = null
    })
    return checking
  }
  await Promise.race([checkOnce(), pause(START_WITHIN_MS)])
  const timer = setInterval(checkOnce, CHECK_EVERY_MS)
  timer.unref()
  return {
    now: () => state,
    /** The state, and which source said so; null: no source answers. */
    status: () => ({ state, source: answer.source }),
    /** One alarm while no source confirms the clock for ten minutes. */
    alarms(): string[] {
      const unconfirmedMs = monotonicMs() - confirmedAtMs
      if (state === 'SYNCED' || unconfirmedMs < ALARM_AFTER_MS) return []
      const minutes = Math.floor(unconfirmedMs / 60_000)
      return [
        `nothing confirms the clock for ${minutes} min: new events are ${state}, and while they ` +
          `are UNSYNCED, nothing is deleted by age. ${clockCure(answer)}`,
      ]
    },
    close: () => clearInterval(timer),
  }
}

/** Runs each tool at most once in ASK_TOOL_EVERY_MS, and returns its last output meanwhile. */
function rememberOutputs(run: RunTool, monotonicMs: () => number): RunTool {
  const outputs = new Map<string, { output: string | null; atMs: number }>()
  return async (file, args) => {
    const last = outputs.get(file)
    if (last && monotonicMs() - last.atMs < ASK_TOOL_EVERY_MS) return last.output
    const output = await run(file, args)
    outputs.set(file, { output, atMs: monotonicMs() })
    return output
  }
}
