import type { Database, Statement } from 'better-sqlite3'

type Newest = { sequence: number; bytesSoFar: number }
type Removed = { events: number; bytes: number }

const NOTHING: Removed = { events: 0, bytes: 0 }

/**
 * Counts stored events and bytes between two sequences. Each count needs only a few index look-ups.
 */
export function createStoredTotals(db: Database) {
  // ORDER BY names the column of the table: the alias is a sum, and SQLite would sort all groups.
  const selectNewest = db.prepare(
    `SELECT sequence + count - 1 AS sequence, bytesSoFar
     FROM groups ORDER BY groups.sequence DESC LIMIT 1`,
  )
  const selectFirst = db.prepare('SELECT min(sequence) FROM groups').pluck()
  const selectTotalBefore = db
    .prepare('SELECT bytesSoFar FROM groups WHERE sequence < ? ORDER BY sequence DESC LIMIT 1')
    .pluck()
  // The running total still counts pruned groups, so this selects the bytes of all groups before
  // the first stored group.
  const selectPrunedTotal = db
    .prepare(
      'SELECT bytesSoFar - length(header) - length(body) FROM groups ORDER BY sequence LIMIT 1',
    )
    .pluck()
  // Prepared at the first use, because a reader may open the file before the writer migrates it to
  // the version with the table `thinned`.
  let selectRemoved: Statement | null = null
  const removed = (from: number, to: number): Removed => {
    selectRemoved ??= prepareIfTableExists(db, REMOVED)
    return selectRemoved ? (selectRemoved.get(from, to) as Removed) : NOTHING
  }
  const totalBefore = (sequence: number) =>
    ((selectTotalBefore.get(sequence) ?? selectPrunedTotal.get()) as number | undefined) ?? 0
  return {
    /** The last stored event and the running total of bytes; undefined while there is no group. */
    newest: () => selectNewest.get() as Newest | undefined,
    /** The sequence of the first stored event; null while there is none. */
    first: () => selectFirst.get() as number | null,
    /**
     * Bytes of all groups ever stored that begin before a sequence, less the bytes that were
     * removed from groups that are still stored. After damage, the result is an estimate.
     */
    bytesBefore(sequence: number): number {
      const start = selectFirst.get() as number | null
      if (start === null) return 0
      const last = sequence <= start ? start : sequence - 1
      return totalBefore(sequence) - removed(start, last).bytes
    },
    /** Returns how many events and bytes were removed by thinning from the groups of a span. */
    removed,
  }
}

const REMOVED = `SELECT cast(total(events) AS INTEGER) AS events,
  cast(total(bytes) AS INTEGER) AS bytes FROM thinned WHERE sequence BETWEEN ? AND ?`

function prepareIfTableExists(db: Database, query: string): Statement | null {
  const count = db.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'thinned'").pluck()
  return count.get() === 0 ? null : db.prepare(query)
}
