import { phasesOf } from '../recording/cut-points.ts'
import { createStorePromises } from '../recording/marks.ts'
import type { RecordedCall } from '../recording/recorded-calls.ts'

/**
 * What happened in a recording, by count. A cut proves nothing about operations that the recording
 * lacks.
 */
export type RecordingCoverage = ReturnType<typeof noCoverage>

const noCoverage = () => ({
  /**
   * How many events were pruned, how many undelivered events were dropped, and how many notes were
   * pruned.
   */
  ...{ pruned: 0, dropped: 0, notes: 0 },
  /**
   * How often a prune made the outbox file shorter, and how often a prune emptied its write-ahead
   * log.
   */
  ...{ vacuumed: 0, truncated: 0 },
  /** How often a salvaged file replaced a damaged one. */
  recovered: 0,
})

/** Counts what happened to the stores of a recording. */
export function coverageOf(stores: Map<string, RecordedCall[]>): RecordingCoverage {
  const sum = noCoverage()
  for (const calls of stores.values()) {
    const promises = createStorePromises()
    const names = new Map<string, string>()
    for (const [at, phase] of phasesOf(calls).entries()) {
      const call = calls[at]!
      if (call.kind === 'mark') promises.addLines(call.lines)
      if (call.kind === 'open') names.set(call.handle, call.name)
      if (phase === 'prune' && call.kind === 'truncate') {
        if (names.get(call.handle) === 'outbox.db') sum.vacuumed++
        if (names.get(call.handle) === 'outbox.db-wal' && call.size === 0) sum.truncated++
      }
      if (phase === 'recovery' && call.kind === 'rename' && call.to === 'outbox.db') sum.recovered++
    }
    for (const kind of ['pruned', 'dropped', 'notes'] as const) sum[kind] += promises.deleted[kind]
  }
  return sum
}

/** Adds the counts of `more` to `sum`. Throws an Error when a count of `more` is 0. */
export function addCoverage(
  sum: RecordingCoverage | null,
  more: RecordingCoverage,
): RecordingCoverage {
  const total = { ...(sum ?? noCoverage()) }
  for (const kind of Object.keys(more) as (keyof RecordingCoverage)[]) {
    if (more[kind] === 0)
      throw new Error(`the recording proves too little: its count '${kind}' is 0`)
    total[kind] += more[kind]
  }
  return total
}
