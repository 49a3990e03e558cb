import Database from 'better-sqlite3'
import { inodeOf } from '../file/damage-mark.ts'
import { openReadOnly } from '../file/readonly-database.ts'
import { INBOX_APPLICATION_ID } from '../file/schema.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import { createPositionChecksum } from './position-checksum.ts'
import { isReplay } from './range-kind.ts'

/** An inbox that the bridge has not opened since has no seal. */
const SEALED_FROM_VERSION = 2

/**
 * What an inbox durably says of a store: what is still to be delivered (null: nobody has said,
 * then it is everything), the first event that is to be sent once more, the first note to deliver.
 */
export type InboxState = {
  pendingRanges: SequenceRange[] | null
  replayFrom: number | null
  nextNote: number
}

/** Whether an inbox said nothing: it is not there, busy or damaged, or knows nothing yet. */
export const isUnknown = ({ pendingRanges, nextNote }: InboxState) =>
  pendingRanges === null && nextNote === 1

/** The gateway's view of the inbox. A missing, busy or damaged one is a state: it says nothing. */
export function openInboxReader(file: string) {
  let db: ReturnType<typeof openReadOnly> = null
  let inode: number | null = null
  const read = (store: Buffer): InboxState | null => {
    const there = inodeOf(file)
    if (there !== inode) {
      db?.close()
      db = null
      inode = there
    }
    db ??= openReadOnly(file, INBOX_APPLICATION_ID)
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
  const nothingSaid = { pendingRanges: null, replayFrom: null, nextNote: 1 }
  const delivered = (store: Buffer): InboxState => read(store) ?? nothingSaid
  return Object.assign(delivered, { close: () => db?.close() })
}

function deliveredOf(db: Database.Database, store: Buffer): InboxState {
  const select = db.prepare('SELECT next, "end", reason FROM ranges WHERE store = ?')
  const all = select.all(store) as (SequenceRange & { reason: string })[]
  const replays = all.filter(isReplay).map(({ next }) => next)
  const nextNote = db.prepare('SELECT next FROM notePositions WHERE store = ?').pluck().get(store)
  return {
    pendingRanges: all.length > 0 ? all.filter(range => !isReplay(range)).map(spanOf) : null,
    replayFrom: replays.length > 0 ? Math.min(...replays) : null,
    nextNote: (nextNote as number | undefined) ?? 1,
  }
}

const spanOf = ({ next, end }: SequenceRange): SequenceRange => ({ next, end })

/** How far an inbox has seen a store: the last delivered event and note, and the next of each. */
export type InboxProgress = {
  sequence: number
  noteSequence: number
  next: number
  nextNote: number
}

/** How far an inbox has seen a store; null when it has not, or cannot be read. */
export function readInboxProgress(file: string, store: Buffer): InboxProgress | null {
  const db = openReadOnly(file, INBOX_APPLICATION_ID)
  if (!db) return null
  try {
    return trusted(db, () => {
      const { pendingRanges, nextNote } = deliveredOf(db, store)
      if (!pendingRanges) return null
      const nexts = pendingRanges.map(({ next }) => next)
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
    return isSealed && !createPositionChecksum(db).isIntact() ? null : read()
  })
  return look()
}
