import type { Database, Statement } from 'better-sqlite3'

type Newest = { sequence: number; bytesSoFar: number }
type Gone = { events: number; bytes: number }

const NOTHING: Gone = { events: 0, bytes: 0 }

/** How much is stored between two numbers: a few index look-ups, however much that is. */
export function createStoredTotals(db: Database) {
  // By the column: the name alone would be the sum, and all groups would be sorted by it.
  const newest = db.prepare(
    `SELECT sequence + count - 1 AS sequence, bytesSoFar
     FROM groups ORDER BY groups.sequence DESC LIMIT 1`,
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
  // A reader may have opened the file before its writer brought it to the version that has these.
  let ofThinned: Statement | null = null
  const removed = (from: number, to: number): Gone => {
    ofThinned ??= prepareIfThere(db, THINNED)
    return ofThinned ? (ofThinned.get(from, to) as Gone) : NOTHING
  }
  const bytesBefore = (sequence: number) =>
    ((before.get(sequence) ?? base.get()) as number | undefined) ?? 0
  // What went of a group that is there is not there, though totals that were written then say so.
  const stillBefore = (sequence: number) => {
    const start = first.get() as number | null
    if (start === null) return 0
    const own = removed(start, start).bytes
    if (sequence <= start) return bytesBefore(sequence) - own
    return bytesBefore(sequence) - removed(start, sequence - 1).bytes
  }
  return {
    /** The last event stored and the bytes ever stored up to it; undefined while there is none. */
    newest: () => newest.get() as Newest | undefined,
    /** The first event that is there. */
    first: () => first.get() as number | null,
    /**
     * Bytes of all groups ever stored that begin before a number, as far as it can be told, less
     * what went of those that are still there.
     */
    bytesBefore: stillBefore,
    /** What went of the groups from one number to another, and is not to be counted any more. */
    removed: removed,
  }
}

const THINNED = `SELECT cast(total(events) AS INTEGER) AS events,
  cast(total(bytes) AS INTEGER) AS bytes FROM thinned WHERE sequence BETWEEN ? AND ?`

function prepareIfThere(db: Database, query: string): Statement | null {
  const known = db.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'thinned'").pluck()
  return known.get() === 0 ? null : db.prepare(query)
}
