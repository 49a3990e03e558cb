import { phasesOf } from '../recording/cut-points.ts'
import { createStorePromises } from '../recording/marks.ts'
import type { RecordedCall } from '../recording/recorded-calls.ts'

/** What really happened in a recording. A cut proves nothing about work that never happened. */
export type RecordingCoverage = ReturnType<typeof noCoverage>

const noCoverage = () => ({
  /** Pruned events, undelivered events that were dropped, and pruned notes. */
  ...{ pruned: 0, dropped: 0, notes: 0 },
  /** How often a prune made the outbox file shorter, and emptied its write-ahead log. */
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

/** Adds to a sum. Throws an Error when something did not happen at all in `more`. */
export function addCoverage(
  sum: RecordingCoverage | null,
  more: RecordingCoverage,
): RecordingCoverage {
  const total = { ...(sum ?? noCoverage()) }
  for (const kind of Object.keys(more) as (keyof RecordingCoverage)[]) {
    if (more[kind] === 0) throw new Error(`the recording shows nothing ${kind}`)
    total[kind] += more[kind]
  }
  return total
}
