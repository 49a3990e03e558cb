import type { Database } from 'better-sqlite3'
import { bellFile, readBell } from '../file/bell.ts'
import { isDamage } from '../file/damage-mark.ts'
import { openReadOnly } from '../file/readonly-database.ts'
import { OUTBOX_APPLICATION_ID } from '../file/schema.ts'
import { createBacklogMeter } from '../groups/backlog.ts'
import { createNoteReader } from '../notes/note-log.ts'
import { createGroupFinder } from './group-finder.ts'

type Store = { id: Buffer; gateway: string }

export type OutboxReader = NonNullable<ReturnType<typeof openOutboxReader>>

/**
 * Opens the outbox for reading, or gives null while there is none; tells `onDamage` why, when it is
 * because of that. Each call reads one group and leaves no transaction open, because an open one
 * would stop the writer's checkpoints.
 */
export function openOutboxReader(file: string, onDamage: (reason: string) => void = () => {}) {
  const db = openReadOnly(file, OUTBOX_APPLICATION_ID, onDamage)
  if (!db) return null
  try {
    return readerOf(db, file)
  } catch (error) {
    db.close()
    if (!isDamage(error)) throw error
    onDamage((error as Error).message)
    return null
  }
}

function readerOf(db: Database, file: string) {
  const store = db.prepare('SELECT id, gateway FROM store').get() as Store | undefined
  if (!store) {
    db.close()
    return null
  }
  const first = db.prepare('SELECT min(sequence) FROM groups').pluck()
  const last = db
    .prepare('SELECT sequence + count - 1 FROM groups ORDER BY sequence DESC LIMIT 1')
    .pluck()
  const marked = () => {
    const mark = readBell(bellFile(file))
    return mark?.store.equals(store.id) ? mark : null
  }
  return {
    store: store.id,
    gateway: store.gateway,
    backlog: createBacklogMeter(db),
    get firstSequence() {
      return first.get() as number | null
    },
    get lastSequence() {
      return (last.get() as number | undefined) ?? null
    },
    ...createGroupFinder(db, () => marked()?.sequence ?? null),
    notesFrom: createNoteReader(db, () => marked()?.noteSequence ?? null),
    close: () => db.close(),
  }
}

/** How many messages were buried in an outbox since a moment (ms since 1970). */
export function countDeadLetters(file: string, sinceMs: number): number {
  const db = openReadOnly(file, OUTBOX_APPLICATION_ID)
  const count = db
    ?.prepare("SELECT count(*) FROM notes WHERE kind = 'deadletter' AND at >= ?")
    .pluck()
    .get(sinceMs)
  db?.close()
  return (count as number | undefined) ?? 0
}
