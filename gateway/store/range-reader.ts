import Database from 'better-sqlite3'
import { openForReading } from './read.ts'
import { INBOX_ID } from './schema.ts'

/**
 * The gateway's view of the inbox: what of a store is still to be delivered, or null while nobody
 * has said (then it is everything). A missing, busy or damaged inbox is a state.
 */
export function startRangeReader(file: string) {
  let db: ReturnType<typeof openForReading> = null
  const read = (store: Buffer): { next: number; end: number | null }[] | null => {
    db ??= openForReading(file, INBOX_ID)
    if (!db) return null
    try {
      const ranges = db.prepare('SELECT next, "end" FROM ranges WHERE store = ?').all(store)
      return ranges.length > 0 ? (ranges as { next: number; end: number | null }[]) : null
    } catch (error) {
      if (!(error instanceof Database.SqliteError)) throw error
      db.close()
      db = null
      return null
    }
  }
  return Object.assign(read, { close: () => db?.close() })
}

/** How far an inbox has seen a store: the last delivered event and note, and the next of each. */
export type Seen = { sequence: number; noteSequence: number; next: number; nextNote: number }

/** How far an inbox has seen a store; null when it has not, or cannot be read. */
export function seenByInbox(file: string, store: Buffer): Seen | null {
  const db = openForReading(file, INBOX_ID)
  if (!db) return null
  try {
    const spans = db.prepare(
      'SELECT min(next) AS least, max(next) AS most FROM ranges WHERE store = ?',
    )
    const { least, most } = spans.get(store) as { least: unknown; most: unknown }
    const note = db.prepare('SELECT next FROM notePositions WHERE store = ?').pluck().get(store)
    if (typeof least !== 'number' || typeof most !== 'number') return null
    const nextNote = typeof note === 'number' ? note : 1
    return { sequence: most - 1, noteSequence: nextNote - 1, next: least, nextNote }
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
    return null
  } finally {
    db.close()
  }
}
