import Database from 'better-sqlite3'
import { openForReading } from './read.ts'
import { INBOX_ID } from './schema.ts'

type Span = { next: number; end: number | null; reason: string }

/**
 * The gateway's view of the inbox: what of a store is still to be delivered, or null while nobody
 * has said (then it is everything). A missing, busy or damaged inbox is a state.
 */
export function startRangeReader(file: string) {
  let db: ReturnType<typeof openForReading> = null
  const read = (store: Buffer): Span[] | null => {
    db ??= openForReading(file, INBOX_ID)
    if (!db) return null
    try {
      const ranges = db.prepare('SELECT next, "end", reason FROM ranges WHERE store = ?').all(store)
      return ranges.length > 0 ? (ranges as Span[]) : null
    } catch (error) {
      if (!(error instanceof Database.SqliteError)) throw error
      db.close()
      db = null
      return null
    }
  }
  return Object.assign(read, { close: () => db?.close() })
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
