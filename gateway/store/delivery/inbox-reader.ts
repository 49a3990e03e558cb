import Database from 'better-sqlite3'
import { databaseFiles, identityOf } from '../file/file-identity.ts'
import { openReadOnly } from '../file/readonly-database.ts'
import { INBOX_APPLICATION_ID } from '../file/schema.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import { createPositionChecksum } from './position-checksum.ts'
import { readRanges } from './range-table.ts'

/** The inbox version that introduced the position checksum. */
const CHECKSUM_SINCE_VERSION = 2

/**
 * The durable state of one store in the inbox. `pendingRanges`: the ranges still to be delivered;
 * null when they are unknown, so that all events count as undelivered. `replayFrom`: the first
 * event of all replays that are not done; null when there is none. `nextNote`: the first
 * undelivered note.
 */
export type InboxState = {
  pendingRanges: SequenceRange[] | null
  replayFrom: number | null
  nextNote: number
}

/**
 * Whether the delivery state of the store is unknown, because the inbox is missing, busy, damaged,
 * or has no entry for the store.
 */
export const isUnknown = ({ pendingRanges, nextNote }: InboxState) =>
  pendingRanges === null && nextNote === 1

/**
 * Opens the inbox for the gateway, and returns a function that reads the state of a store. When the
 * inbox is missing, busy or damaged, the function returns an unknown state and does not throw.
 */
export function openInboxReader(file: string) {
  let db: ReturnType<typeof openReadOnly> = null
  let identity = ''
  const read = (store: Buffer): InboxState | null => {
    const current = databaseFiles(file).map(identityOf).join()
    if (current !== identity) {
      db?.close()
      db = null
      identity = current
    }
    db ??= openReadOnly(file, INBOX_APPLICATION_ID)
    if (!db) return null
    try {
      const openDb = db
      return readIfIntact(openDb, () => readState(openDb, store))
    } catch (error) {
      if (!(error instanceof Database.SqliteError)) throw error
      db.close()
      db = null
      return null
    }
  }
  const unknown = { pendingRanges: null, replayFrom: null, nextNote: 1 }
  const stateOf = (store: Buffer): InboxState => read(store) ?? unknown
  return Object.assign(stateOf, { close: () => db?.close() })
}

function readState(db: Database.Database, store: Buffer): InboxState {
  const ranges = readRanges(db, store)
  const replays = ranges.filter(({ isReplay }) => isReplay).map(({ next }) => next)
  const nextNote = db.prepare('SELECT next FROM notePositions WHERE store = ?').pluck().get(store)
  const pending = ranges.filter(({ isReplay }) => !isReplay).map(({ next, end }) => ({ next, end }))
  return {
    pendingRanges: ranges.length > 0 ? pending : null,
    replayFrom: replays.length > 0 ? Math.min(...replays) : null,
    nextNote: (nextNote as number | undefined) ?? 1,
  }
}

/**
 * `sequence` and `noteSequence` are the highest event and note that a position in the inbox has
 * passed. `next` and `nextNote` are the first event and note that are still to be delivered.
 */
export type InboxProgress = {
  sequence: number
  noteSequence: number
  next: number
  nextNote: number
}

/**
 * Reads the progress of a store; null when the inbox has no entry for the store or cannot be read.
 */
export function readInboxProgress(file: string, store: Buffer): InboxProgress | null {
  const db = openReadOnly(file, INBOX_APPLICATION_ID)
  if (!db) return null
  try {
    return readIfIntact(db, () => {
      const { pendingRanges, nextNote } = readState(db, store)
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

/** Runs `read` in one transaction; null when the checksum over the positions differs. */
function readIfIntact<T>(db: Database.Database, read: () => T): T | null {
  const transaction = db.transaction(() => {
    const version = db.pragma('user_version', { simple: true }) as number
    if (version >= CHECKSUM_SINCE_VERSION && !createPositionChecksum(db).isIntact()) return null
    return read()
  })
  return transaction()
}
