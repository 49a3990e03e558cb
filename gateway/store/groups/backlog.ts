import type { Database } from 'better-sqlite3'
import type { Backlog } from '../../../config/process/status.ts'
import { mergeRanges, type SequenceRange } from '../sequence/delivery-range.ts'
import { IS_EMPTIED_SQL } from './group-codec.ts'
import { createStoredTotals } from './stored-totals.ts'

/**
 * Measures what is still to be delivered: by the inbox's ranges of this store or, while there are
 * none, everything. Costs a few index look-ups, however much waits. The bytes of a group count
 * until its first event is delivered.
 */
export function createBacklogMeter(outbox: Database) {
  const stored = createStoredTotals(outbox)
  const received = outbox
    .prepare(
      `SELECT receivedFrom FROM groups WHERE sequence >=
       coalesce((SELECT max(sequence) FROM groups WHERE sequence <= @oldest), 0)
       AND sequence + count > @oldest AND NOT (${IS_EMPTIED_SQL})
       ORDER BY sequence LIMIT 1`,
    )
    .pluck()
  return (ranges: SequenceRange[] | null, nowMs: number): Backlog => {
    const newest = stored.newest()
    const first = stored.first()
    const none = { events: 0, bytes: 0, oldestAgeMs: 0 }
    if (!newest || first === null) return none
    // Partitions that are apart wait for what others have.
    const spans = mergeRanges(ranges ?? [{ next: first, end: null }])
    let [events, bytes, oldest] = [0, 0, Number.POSITIVE_INFINITY]
    for (const { next: from, end } of spans) {
      // What was dropped before it was delivered does not wait any more.
      const next = Math.max(from, first)
      const until = Math.min(end ?? newest.sequence, newest.sequence)
      if (next > until) continue
      const { events: gone } = stored.removed(next, until)
      if (until - next + 1 <= gone) continue
      events += until - next + 1 - gone
      bytes += stored.bytesBefore(until + 1) - stored.bytesBefore(next)
      oldest = Math.min(oldest, next)
    }
    if (events === 0) return none
    const receivedFrom = (received.get({ oldest }) as number | undefined) ?? nowMs
    return { events, bytes, oldestAgeMs: nowMs - receivedFrom }
  }
}
