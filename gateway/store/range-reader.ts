import Database from 'better-sqlite3'
import { openForReading } from './read.ts'
import { INBOX_ID } from './schema.ts'
import { openSeal } from './seal.ts'

/** An inbox that the bridge has not opened since has no seal. */
const SEALED_FROM_VERSION = 2

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
      const select = db.prepare(sql)
      return trusted(db, () => select.all(store) as T[]) ?? []
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
    const notes = db.prepare('SELECT next FROM notePositions WHERE store = ?').pluck()
    return trusted(db, () => {
      const { least, most } = spans.get(store) as { least: number | null; most: number | null }
      const nextNote = (notes.get(store) as number | undefined) ?? 1
      if (least === null || most === null) return null
      return { sequence: most - 1, noteSequence: nextNote - 1, next: least, nextNote }
    })
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
    return null
  } finally {
    db.close()
  }
}

/** What `read` gives, at one moment, or null when the positions are not those that were written. */
function trusted<T>(db: Database.Database, read: () => T): T | null {
  const look = db.transaction(() => {
    const isSealed = (db.pragma('user_version', { simple: true }) as number) >= SEALED_FROM_VERSION
    return isSealed && !openSeal(db).isWhole() ? null : read()
  })
  return look()
}
