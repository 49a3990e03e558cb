import { readFileSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { CannotStart } from '../../../config/process/lifetime.ts'

/** SQLite locks bytes from here on (PENDING_BYTE in its file format). */
const FIRST_LOCK_BYTE = 0x4000_0000
const LOCKED_BYTES = 512

/** Another process holds the lock: this process must not start. */
export class LockedError extends CannotStart {
  readonly file: string
  /** The process that holds the lock, as a text: `process 4711`, or `another process`. */
  readonly holder: string
  constructor(file: string) {
    const pid = lockingPid(file)
    const holder = pid === null ? 'another process' : `process ${pid}`
    const cure = 'Let that process run, or end it first, or name another path'
    super(`${file} is locked by ${holder}, which has started before. ${cure}`)
    this.file = file
    this.holder = holder
  }
}

/** The process that holds a lock; its `pid` is null when this machine does not show it. */
export type LockHolder = { pid: number | null }

/**
 * References to the open connections. Without a reference, the garbage collector would close a
 * connection and release its lock.
 */
const openConnections = new Set<Database.Database>()

/**
 * Acquires the writer's lock on `file` and keeps the lock until `close` or the end of the process,
 * even after kill -9. The lock is an exclusive SQLite transaction, because Node has no flock; the
 * kernel releases SQLite's file lock when the process ends. Throws LockedError when another process
 * still has the lock after `waitMs`; meanwhile this thread is blocked.
 */
export function acquireLock(file: string, waitMs = 0): { close(): void } {
  const db = new Database(file, { timeout: waitMs })
  try {
    db.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    db.close()
    if (isBusy(error)) throw new LockedError(file)
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

/**
 * The process that holds the lock of `acquireLock` on `file` now; null when none holds it. Does not
 * change the file, but excludes a writer for a moment. Throws when this user may not read the file.
 */
export function findLockHolder(file: string): LockHolder | null {
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return null
  const db = new Database(file, { readonly: true, timeout: 0 })
  try {
    db.prepare('SELECT count(*) FROM sqlite_schema').get()
    return null
  } catch (error) {
    if (isBusy(error)) return { pid: lockingPid(file) }
    throw error
  } finally {
    db.close()
  }
}

const isBusy = (error: unknown) =>
  error instanceof Database.SqliteError && error.code === 'SQLITE_BUSY'

/**
 * The process that holds SQLite's write lock on a file, as Linux lists it in /proc/locks; null on
 * other systems, and for a process of another container.
 */
function lockingPid(file: string): number | null {
  try {
    const { ino } = statSync(file)
    // 1: POSIX  ADVISORY  WRITE 4711 08:02:393521 1073741824 1073742335
    const pattern = /^\d+: POSIX +ADVISORY +WRITE +(\d+) \w+:\w+:(\d+) (\d+) /gm
    const locks = readFileSync('/proc/locks', 'utf8').matchAll(pattern)
    for (const [, pid, inode, begin] of locks) {
      const offset = Number(begin) - FIRST_LOCK_BYTE
      if (Number(inode) === ino && offset >= 0 && offset < LOCKED_BYTES) return Number(pid)
    }
  } catch {
    // Without /proc/locks the holder stays unnamed.
  }
  return null
}
