import type { Database } from 'better-sqlite3'
import { bellFile, readBell } from '../file/bell.ts'
import { isDamage } from '../file/damage-mark.ts'
import { openReadOnly } from '../file/readonly-database.ts'
import { OUTBOX_APPLICATION_ID } from '../file/schema.ts'
import { createBacklogMeter } from '../groups/backlog.ts'
import { createNoteReader } from '../notes/note-log.ts'
import { createGroupFinder } from './group-finder.ts'

type StoreRun = { gateway: string; epoch: number }

export type OutboxReader = NonNullable<ReturnType<typeof openOutboxReader>>

/**
 * Opens the outbox for reading; null while there is no outbox that can be read. Calls `onDamage`
 * with the reason when the outbox cannot be opened because it is damaged. Each call of the reader
 * leaves no transaction open, because an open transaction would prevent the writer's checkpoints.
 */
export function openOutboxReader(file: string, onDamage: (reason: string) => void = () => {}) {
  const db = openReadOnly(file, OUTBOX_APPLICATION_ID, onDamage)
  if (!db) return null
  try {
    return createReader(db, file)
  } catch (error) {
    db.close()
    if (!isDamage(error)) throw error
    onDamage((error as Error).message)
    return null
  }
}

function createReader(db: Database, file: string) {
  const store = db.prepare('SELECT id FROM store').get() as { id: Buffer } | undefined
  if (!store) {
    db.close()
    return null
  }
  const selectRun = db.prepare('SELECT gateway, epoch FROM store')
  const selectFirst = db.prepare('SELECT min(sequence) FROM groups').pluck()
  const selectLast = db
    .prepare('SELECT sequence + count - 1 FROM groups ORDER BY sequence DESC LIMIT 1')
    .pluck()
  const readMark = () => {
    const mark = readBell(bellFile(file))
    return mark?.store.equals(store.id) ? mark : null
  }
  return {
    store: store.id,
    /** Reads the gateway's id and the epoch of the newest run; both change when a run begins. */
    readRun: () => selectRun.get() as StoreRun,
    backlog: createBacklogMeter(db),
    get firstSequence() {
      return selectFirst.get() as number | null
    },
    get lastSequence() {
      return (selectLast.get() as number | undefined) ?? null
    },
    ...createGroupFinder(db, () => readMark()?.sequence ?? null),
    notesFrom: createNoteReader(db, () => readMark()?.noteSequence ?? null),
    close: () => db.close(),
  }
}

/**
 * Counts the dead letters that an outbox stores and that are not older than `sinceMs` (ms since
 * 1970).
 */
export function countDeadLetters(file: string, sinceMs: number): number {
  const db = openReadOnly(file, OUTBOX_APPLICATION_ID)
  const count = db
    ?.prepare("SELECT count(*) FROM notes WHERE kind = 'deadletter' AND at >= ?")
    .pluck()
    .get(sinceMs)
  db?.close()
  return (count as number | undefined) ?? 0
}
