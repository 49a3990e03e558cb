import { phasesOf } from '../recording/cut-points.ts'
import { createStorePromises } from '../recording/marks.ts'
import type { RecordedCall } from '../recording/recorded-calls.ts'

/** What a recording shows to have really happened: without it, cuts under it prove nothing. */
export type RecordingCoverage = ReturnType<typeof noExercise>

const noExercise = () => ({
  /** Events that were pruned, and dropped undelivered; notes that were pruned. */
  ...{ pruned: 0, dropped: 0, notes: 0 },
  /** How often a prune made the outbox shorter, and emptied its write-ahead log. */
  ...{ vacuumed: 0, truncated: 0 },
  /** How often a salvaged file took the place of a damaged one. */
  healed: 0,
})

/** Counts what happened to some stores. */
export function coverageOf(stores: Map<string, RecordedCall[]>): RecordingCoverage {
  const sum = noExercise()
  for (const calls of stores.values()) {
    const promised = createStorePromises()
    const names = new Map<string, string>()
    for (const [at, phase] of phasesOf(calls).entries()) {
      const call = calls[at]!
      if (call.kind === 'mark') promised.addLines(call.lines)
      if (call.kind === 'open') names.set(call.handle, call.name)
      if (phase === 'prune' && call.kind === 'truncate') {
        if (names.get(call.handle) === 'outbox.db') sum.vacuumed++
        if (names.get(call.handle) === 'outbox.db-wal' && call.size === 0) sum.truncated++
      }
      if (phase === 'heal' && call.kind === 'rename' && call.to === 'outbox.db') sum.healed++
    }
    for (const what of ['pruned', 'dropped', 'notes'] as const) sum[what] += promised.gone[what]
  }
  return sum
}

/** Adds to a sum; throws an Error when something did not happen at all. */
export function addCoverage(
  sum: RecordingCoverage | null,
  more: RecordingCoverage,
): RecordingCoverage {
  const all = { ...(sum ?? noExercise()) }
  for (const what of Object.keys(more) as (keyof RecordingCoverage)[]) {
    if (more[what] === 0) throw new Error(`the recording shows nothing ${what}`)
    all[what] += more[what]
  }
  return all
}
