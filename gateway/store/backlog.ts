import type { Database } from 'better-sqlite3'
import type { Backlog } from '../../config/telemetry/state.ts'
import { isReplay } from './replays.ts'

/** Replays are no part of it: what they send was delivered. */
type Span = { next: number; end: number | null; reason?: string }

/**
 * Measures what is still to be delivered: by the inbox's ranges of this store or, while there are
 * none, everything. Costs a few index look-ups, however much waits. The bytes
 * of a group count until its first event is delivered.
 */
export function startBacklog(outbox: Database) {
  const last = outbox.prepare(
    'SELECT sequence + count - 1 AS sequence, bytesSoFar FROM groups ORDER BY sequence DESC LIMIT 1',
  )
  const first = outbox.prepare('SELECT min(sequence) FROM groups').pluck()
  const before = outbox
    .prepare('SELECT bytesSoFar FROM groups WHERE sequence < ? ORDER BY sequence DESC LIMIT 1')
    .pluck()
  const from = outbox
    .prepare(
      `SELECT receivedFrom FROM groups WHERE sequence >=
       coalesce((SELECT max(sequence) FROM groups WHERE sequence <= @oldest), 0)
       AND sequence + count > @oldest ORDER BY sequence LIMIT 1`,
    )
    .pluck()
  return (ranges: Span[] | null, nowMs: number): Backlog => {
    const newest = last.get() as { sequence: number; bytesSoFar: number } | undefined
    const none = { events: 0, bytes: 0, oldestAgeMs: 0 }
    if (!newest) return none
    const spans = ranges ?? [{ next: first.get() as number, end: null }]
    let [events, bytes, oldest] = [0, 0, Number.POSITIVE_INFINITY]
    for (const span of spans) {
      if (isReplay(span)) continue
      const { next, end } = span
      const until = Math.min(end ?? newest.sequence, newest.sequence)
      if (next > until) continue
      events += until - next + 1
      bytes += bytesUpTo(until + 1) - bytesUpTo(next)
      oldest = Math.min(oldest, next)
    }
    if (events === 0) return none
    const receivedFrom = from.get({ oldest }) as number
    return { events, bytes, oldestAgeMs: nowMs - receivedFrom }
  }

  function bytesUpTo(sequence: number): number {
    return (before.get(sequence) as number | undefined) ?? 0
  }
}
