import Database from 'better-sqlite3'
import { inodeOf } from '../file/damage-mark.ts'
import { openForReading } from '../file/readonly-database.ts'
import { INBOX_ID } from '../file/schema.ts'
import type { Span } from '../sequence/delivery-range.ts'
import { openSeal } from './position-checksum.ts'
import { isReplay } from './range-kind.ts'

/** An inbox that the bridge has not opened since has no seal. */
const SEALED_FROM_VERSION = 2

/**
 * What an inbox durably says of a store: what is still to be delivered (null: nobody has said,
 * then it is everything), the first event that is to be sent once more, the first note to deliver.
 */
export type Delivered = { spans: Span[] | null; replayFrom: number | null; nextNote: number }

/** Whether an inbox said nothing: it is not there, busy or damaged, or knows nothing yet. */
export const saysNothing = ({ spans, nextNote }: Delivered) => spans === null && nextNote === 1

/** The gateway's view of the inbox. A missing, busy or damaged one is a state: it says nothing. */
export function startRangeReader(file: string) {
  let db: ReturnType<typeof openForReading> = null
  let inode: number | null = null
  const read = (store: Buffer): Delivered | null => {
    const there = inodeOf(file)
    if (there !== inode) {
      db?.close()
      db = null
      inode = there
    }
    db ??= openForReading(file, INBOX_ID)
    if (!db) return null
    try {
      const reading = db
      return trusted(reading, () => deliveredOf(reading, store))
    } catch (error) {
      if (!(error instanceof Database.SqliteError)) throw error
      db.close()
      db = null
      return null
    }
  }
  const nothingSaid = { spans: null, replayFrom: null, nextNote: 1 }
  const delivered = (store: Buffer): Delivered => read(store) ?? nothingSaid
  return Object.assign(delivered, { close: () => db?.close() })
}

function deliveredOf(db: Database.Database, store: Buffer): Delivered {
  const select = db.prepare('SELECT next, "end", reason FROM ranges WHERE store = ?')
  const all = select.all(store) as (Span & { reason: string })[]
  const replays = all.filter(isReplay).map(({ next }) => next)
  const nextNote = db.prepare('SELECT next FROM notePositions WHERE store = ?').pluck().get(store)
  return {
    spans: all.length > 0 ? all.filter(range => !isReplay(range)).map(spanOf) : null,
    replayFrom: replays.length > 0 ? Math.min(...replays) : null,
    nextNote: (nextNote as number | undefined) ?? 1,
  }
}

const spanOf = ({ next, end }: Span): Span => ({ next, end })

/** How far an inbox has seen a store: the last delivered event and note, and the next of each. */
export type Seen = { sequence: number; noteSequence: number; next: number; nextNote: number }

/** How far an inbox has seen a store; null when it has not, or cannot be read. */
export function seenByInbox(file: string, store: Buffer): Seen | null {
  const db = openForReading(file, INBOX_ID)
  if (!db) return null
  try {
    return trusted(db, () => {
      const { spans, nextNote } = deliveredOf(db, store)
      if (!spans) return null
      const nexts = spans.map(({ next }) => next)
      const sequence = Math.max(...nexts) - 1
      return { sequence, noteSequence: nextNote - 1, next: Math.min(...nexts), nextNote }
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
