import type { Database } from 'better-sqlite3'
import type { Backlog } from '../../../config/process/gateway-state.ts'
import { mergeRanges, type SequenceRange } from '../sequence/delivery-range.ts'
import { IS_EMPTIED_SQL } from './group-codec.ts'
import { createStoredTotals } from './stored-totals.ts'

/**
 * Measures the undelivered events: the events in the inbox's ranges of this store or, when the
 * ranges are null, all stored events. Needs only a few index look-ups, independent of the number of
 * events. The bytes of a group count until its first event is delivered. Ages are in ms, and
 * negative when the clock went back.
 */
export function createBacklogMeter(outbox: Database) {
  const stored = createStoredTotals(outbox)
  const selectReceivedFrom = outbox
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
    const empty = { events: 0, bytes: 0, oldestAgeMs: 0 }
    if (!newest || first === null) return empty
    // Ranges of isolated partitions overlap other ranges. They are merged, so that each event
    // counts once.
    const merged = mergeRanges(ranges ?? [{ next: first, end: null }])
    let [events, bytes, oldest] = [0, 0, Number.POSITIVE_INFINITY]
    for (const range of merged) {
      // Events before the first stored event were dropped and no longer count.
      const from = Math.max(range.next, first)
      const to = Math.min(range.end ?? newest.sequence, newest.sequence)
      if (from > to) continue
      const { events: removed } = stored.removed(from, to)
      if (to - from + 1 <= removed) continue
      events += to - from + 1 - removed
      bytes += stored.bytesBefore(to + 1) - stored.bytesBefore(from)
      oldest = Math.min(oldest, from)
    }
    if (events === 0) return empty
    const receivedFrom = (selectReceivedFrom.get({ oldest }) as number | undefined) ?? nowMs
    return { events, bytes, oldestAgeMs: nowMs - receivedFrom }
  }
}
