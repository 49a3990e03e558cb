import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { bellFile } from '../file/bell.ts'
import { createIdentityCheck, databaseFiles } from '../file/file-identity.ts'
import { acquireLock } from '../file/lock.ts'
import { ForeignFileError, prepareDatabase } from '../file/schema.ts'
import { findPathFault } from '../file/store-path.ts'
import {
  type RecoveryReport,
  recoverAfterFailedOpen,
  recoverBeforeOpen,
  type StoreKind,
} from './recovery.ts'

/**
 * How long a writer waits for the lock, in ms. The doctor reads the lock for a moment, and a writer
 * that starts in this moment must not fail.
 */
const LOCK_WAIT_MS = 500
/** The cures for error codes of SQLite or the operating system. The first match is used. */
const CURES: [codes: RegExp, cure: string][] = [
  [/FULL|ENOSPC|EDQUOT/, 'Free some space on that disk, or name a path on another one'],
  [/CANTOPEN|READONLY|EROFS/, 'Mount its disk so that it can be written, or name another path'],
  [/IOERR|EIO/, 'The disk may be failing: check its health, or name a path on another one'],
]
/**
 * Errors that may end without an operator, so the process manager should start the process again.
 */
const MAY_PASS = /FULL|ENOSPC|EDQUOT|IOERR|EIO/

/** The usual name of a file of this kind: `outbox.db`. */
const fileNameOf = ({ key }: StoreKind) => key.replace('.file', '.db')
const lockFileOf = (file: string) => `${file}.lock`

/**
 * Returns the function that throws ReplacedFileError when a file that an open outbox or inbox needs
 * is no longer at its path: the database, its WAL and shared memory, the lock or the bell.
 */
export const createFilesCheck = (file: string) =>
  createIdentityCheck([...databaseFiles(file), lockFileOf(file), bellFile(file)])

/**
 * Opens a file for its one writer and migrates the file to the newest version; `createParts` then
 * reads from the file. Creates a missing file, and the directory of the default path. Any other
 * directory must exist: an outbox must not silently be created beside a volume that is not mounted.
 * A damaged outbox or inbox is set aside and rebuilt, and `recovery` reports the rebuild. A foreign
 * file is not changed. Throws a LockedError when another process writes the file. For any other
 * failure throws a CannotStart, which names configuration key, path and cure; on a full or failing
 * disk with `isTemporary`.
 */
export function openForWriting<T>(
  file: string,
  kind: StoreKind,
  createParts: (db: Database.Database) => T,
) {
  const dir = dirname(file)
  const cannot = (cause: Error, cure: string, isTemporary = false) =>
    new CannotStart(`${kind.key} = ${file}: ${cause.message}. ${cure}`, { cause, isTemporary })
  try {
    const fault = findPathFault(file, fileNameOf(kind))
    if (fault) throw new CannotStart(`${kind.key} = ${file}: ${fault.reason}. ${fault.cure}`)
    if (!existsSync(dir)) mkdirSync(dir, { mode: 0o700 })
  } catch (error) {
    if (error instanceof CannotStart) throw error
    throw cannot(error as Error, `Let this user read and write ${dir}, or name another path`)
  }
  const lockFile = lockFileOf(file)
  const wasLocked = existsSync(lockFile)
  let lock: ReturnType<typeof acquireLock> | null = null
  try {
    lock = acquireLock(lockFile, LOCK_WAIT_MS)
    const knownKind = { ...kind, isKnown: (path: string) => wasLocked || kind.isKnown(path) }
    return { ...openOrRecover(file, knownKind, createParts), lock }
  } catch (error) {
    // A new lock file is removed, because a lock file beside a foreign file would make that file
    // look like an outbox or inbox.
    if (lock && !wasLocked) rmSync(lockFile, { force: true })
    lock?.close()
    if (error instanceof CannotStart) throw error
    if (error instanceof ForeignFileError) {
      const text = `the file ${error.reason}. ${error.cure}. The file was not changed`
      throw new CannotStart(`${kind.key} = ${file}: ${text}`, { cause: error })
    }
    const code = String((error as { code?: unknown }).code)
    const cure = CURES.find(([codes]) => codes.test(code))?.[1]
    const help = `${cure ? `${cure}. ` : ''}The file was not changed`
    throw cannot(error as Error, help, MAY_PASS.test(code))
  }
}

function openOrRecover<T>(
  file: string,
  kind: StoreKind,
  createParts: (db: Database.Database) => T,
) {
  const recovery = recoverBeforeOpen(file, kind)
  try {
    return { ...open(file, kind, createParts), recovery }
  } catch (error) {
    if (recovery) throw error
    const lateRecovery: RecoveryReport = recoverAfterFailedOpen(file, kind, error)
    return { ...open(file, kind, createParts), recovery: lateRecovery }
  }
}

function open<T>(file: string, kind: StoreKind, createParts: (db: Database.Database) => T) {
  const db = new Database(file)
  try {
    prepareDatabase(db, kind.applicationId, kind.migrations)
    return { db, parts: createParts(db) }
  } catch (error) {
    db.close()
    throw error
  }
}
