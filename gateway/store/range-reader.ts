import Database from 'better-sqlite3'
import { openForReading } from './read.ts'
import { INBOX_ID } from './schema.ts'

/** What is still to be delivered: from `next` to `end` (null: open). */
export type Span = { next: number; end: number | null }

/**
 * The gateway's view of the inbox: what of a store is still to be delivered, or null while nobody
 * has said (then it is everything), and `nextNote`, the first note that is (1 while nobody has
 * said). What it tells is durable. A missing, busy or damaged inbox is a state.
 */
export function startRangeReader(file: string) {
  let db: ReturnType<typeof openForReading> = null
  const all = <T>(sql: string, store: Buffer): T[] => {
    db ??= openForReading(file, INBOX_ID)
    if (!db) return []
    try {
      return db.prepare(sql).all(store) as T[]
    } catch (error) {
      if (!(error instanceof Database.SqliteError)) throw error
      db.close()
      db = null
      return []
    }
  }
  const read = (store: Buffer): Span[] | null => {
    const spans = all<Span>('SELECT next, "end" FROM ranges WHERE store = ?', store)
    return spans.length > 0 ? spans : null
  }
  return Object.assign(read, {
    nextNote(store: Buffer): number {
      const sql = 'SELECT next FROM notePositions WHERE store = ?'
      return all<{ next: number }>(sql, store)[0]?.next ?? 1
    },
    close: () => db?.close(),
  })
}

/** How far an inbox has seen a store: its last delivered event and note; null when it has not. */
export function seenByInbox(
  file: string,
  store: Buffer,
): { sequence: number; noteSequence: number } | null {
  const db = openForReading(file, INBOX_ID)
  if (!db) return null
  try {
    const next = db.prepare('SELECT max(next) FROM ranges WHERE store = ?').pluck().get(store)
    const note = db.prepare('SELECT next FROM notePositions WHERE store = ?').pluck().get(store)
    if (typeof next !== 'number') return null
    return { sequence: next - 1, noteSequence: typeof note === 'number' ? note - 1 : 0 }
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
    return null
  } finally {
    db.close()
  }
}
