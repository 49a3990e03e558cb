import type { Database } from 'better-sqlite3'

type Newest = { sequence: number; bytesSoFar: number }

/** How much is stored between two numbers: a few index look-ups, however much that is. */
export function startAmounts(db: Database) {
  const newest = db.prepare(
    'SELECT sequence + count - 1 AS sequence, bytesSoFar FROM groups ORDER BY sequence DESC LIMIT 1',
  )
  const first = db.prepare('SELECT min(sequence) FROM groups').pluck()
  const before = db
    .prepare('SELECT bytesSoFar FROM groups WHERE sequence < ? ORDER BY sequence DESC LIMIT 1')
    .pluck()
  // Totals go on from what was pruned: what stands before the first group is gone, not empty.
  const base = db
    .prepare(
      'SELECT bytesSoFar - length(header) - length(body) FROM groups ORDER BY sequence LIMIT 1',
    )
    .pluck()
  return {
    /** The last event stored and the bytes ever stored up to it; undefined while there is none. */
    newest: () => newest.get() as Newest | undefined,
    /** The first event that is there. */
    first: () => first.get() as number | null,
    /** Bytes of all groups ever stored that begin before a number, as far as it can be told. */
    bytesBefore: (sequence: number) =>
      ((before.get(sequence) ?? base.get()) as number | undefined) ?? 0,
  }
}
