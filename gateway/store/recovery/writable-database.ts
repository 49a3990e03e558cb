import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { acquireLock } from '../file/lock.ts'
import { prepareDatabase } from '../file/schema.ts'
import {
  type RecoveryReport,
  recoverAfterFailedOpen,
  recoverBeforeOpen,
  type StoreKind,
} from './recovery.ts'

/** By what SQLite or the system say; a cure is tried in this order. */
const cures: [code: RegExp, cure: string][] = [
  [/FULL|ENOSPC|EDQUOT/, 'Free some space on that disk, or name a path on another one'],
  [/CANTOPEN|READONLY|EROFS/, 'Mount its disk so that it can be written, or name another path'],
  [/IOERR|EIO/, 'The disk may be failing: look at its health, or name a path on another one'],
]
/** These may pass by themselves: what starts us tries again. */
const MAY_PASS = /FULL|ENOSPC|EDQUOT|IOERR|EIO/

/**
 * Opens a file for its one writer, brings it to the newest version and has `begin` read what it
 * needs; creates it, and its directory, when there is none. The directory above must be there,
 * because an outbox must not quietly land beside a volume that is not mounted. A damaged file of
 * ours is moved aside and made anew (`healed`); one that was never ours is left untouched. Throws
 * Locked when another process writes, and CannotStart, which names key, path and cure and, on a
 * full or failing disk, may pass.
 */
export function openForWriting<T>(
  file: string,
  kind: StoreKind,
  begin: (db: Database.Database) => T,
) {
  const dir = dirname(file)
  const cannot = (cause: Error, cure: string, mayPass = false) =>
    new CannotStart(`${kind.key} = ${file}: ${cause.message}. ${cure}`, { cause, mayPass })
  try {
    if (!existsSync(dir)) mkdirSync(dir, { mode: 0o700 })
  } catch (error) {
    throw cannot(error as Error, `Create the directory above ${dir}, or name another path`)
  }
  const lockFile = `${file}.lock`
  const wasLocked = existsSync(lockFile)
  let lock: ReturnType<typeof acquireLock> | null = null
  try {
    lock = acquireLock(lockFile)
    const known = { ...kind, isKnown: (one: string) => wasLocked || kind.isKnown(one) }
    return { ...openOrRecover(file, known, begin), lock }
  } catch (error) {
    // Beside a file that is not ours no lock may stay: it would say that it was.
    if (lock && !wasLocked) rmSync(lockFile, { force: true })
    lock?.close()
    if (error instanceof CannotStart) throw error
    const code = String((error as { code?: unknown }).code)
    const cure = cures.find(([codes]) => codes.test(code))?.[1]
    const help = `${cure ? `${cure}. ` : ''}Nothing in it was changed`
    throw cannot(error as Error, help, MAY_PASS.test(code))
  }
}

function openOrRecover<T>(file: string, kind: StoreKind, begin: (db: Database.Database) => T) {
  const recovered = recoverBeforeOpen(file, kind)
  try {
    return { ...open(file, kind, begin), healed: recovered }
  } catch (error) {
    if (recovered) throw error
    const healedNow: RecoveryReport = recoverAfterFailedOpen(file, kind, error)
    return { ...open(file, kind, begin), healed: healedNow }
  }
}

function open<T>(file: string, kind: StoreKind, begin: (db: Database.Database) => T) {
  const db = new Database(file)
  try {
    prepareDatabase(db, kind.applicationId, kind.migrations)
    return { db, parts: begin(db) }
  } catch (error) {
    db.close()
    throw error
  }
}
