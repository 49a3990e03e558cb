import Database from 'better-sqlite3'
import { CannotStart } from '../../../config/process/lifetime.ts'

/** Another process holds the lock: this process must not start. */
export class LockedError extends CannotStart {
  readonly file: string
  constructor(file: string) {
    super(`${file} is locked by another process. Stop that process, or name another path`)
    this.file = file
  }
}

/**
 * References to the open connections. Without a reference, the garbage collector would close a
 * connection and release its lock.
 */
const openConnections = new Set<Database.Database>()

/**
 * Acquires the writer's lock on `file` and keeps the lock until `close` or the end of the process,
 * even after kill -9. The lock is an exclusive SQLite transaction, because Node has no flock; the
 * kernel releases SQLite's file lock when the process ends. Throws LockedError when another process
 * has the lock.
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
  openConnections.add(db)
  return {
    close(): void {
      openConnections.delete(db)
      db.close()
    },
  }
}
