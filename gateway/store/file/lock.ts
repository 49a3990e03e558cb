import Database from 'better-sqlite3'
import { CannotStart } from '../../../config/process/lifetime.ts'

/** Another process holds the lock: this one must not start. */
export class LockedError extends CannotStart {
  readonly file: string
  constructor(file: string) {
    super(`${file} is locked: another process writes here. Stop that one, or name another path`)
    this.file = file
  }
}

/** A connection that is collected as garbage frees its lock, though nobody closed it. */
const held = new Set<Database.Database>()

/**
 * Takes the one writer's lock on `file` and holds it until closed or the process dies, however it
 * dies: an exclusive SQLite transaction, since the kernel frees its lock and Node has no flock.
 * Throws Locked when it is taken.
 */
export function acquireLock(file: string): { close(): void } {
  const db = new Database(file, { timeout: 0 })
  try {
    db.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    db.close()
    if (error instanceof Database.SqliteError && error.code === 'SQLITE_BUSY')
      throw new LockedError(file)
    throw error
  }
  held.add(db)
  return {
    close(): void {
      held.delete(db)
      db.close()
    },
  }
}
