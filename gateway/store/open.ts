import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { CannotStart } from '../../config/lifetime.ts'
import { type Healed, healAfter, healBefore, type StoreKind } from './heal.ts'
import { holdLock } from './lock.ts'
import { prepare } from './schema.ts'

type Coded = { code?: unknown }

/**
 * Opens a file for its one writer, brings it to the newest version and has `begin` read what it
 * needs; creates it, and its directory, when there is none. The directory above must be there,
 * because an outbox must not quietly land beside a volume that is not mounted. A damaged file of
 * ours is moved aside and made anew (`healed`); one that was never ours is left untouched. Throws
 * Locked when another process writes, and CannotStart, which names key, path and cure.
 */
export function openForWriting<T>(
  file: string,
  kind: StoreKind,
  begin: (db: Database.Database) => T,
) {
  const dir = dirname(file)
  const cannot = (cause: Error, cure: string) =>
    new CannotStart(`${kind.key} = ${file}: ${cause.message}. ${cure}`, { cause })
  try {
    if (!existsSync(dir)) mkdirSync(dir, { mode: 0o700 })
  } catch (error) {
    throw cannot(error as Error, `Create the directory above ${dir}, or name another path`)
  }
  const lockFile = `${file}.lock`
  const wasLocked = existsSync(lockFile)
  let lock: ReturnType<typeof holdLock> | null = null
  try {
    lock = holdLock(lockFile)
    const known = { ...kind, isKnown: (one: string) => wasLocked || kind.isKnown(one) }
    return { ...openOrHeal(file, known, begin), lock }
  } catch (error) {
    // Beside a file that is not ours no lock may stay: it would say that it was.
    if (lock && !wasLocked) rmSync(lockFile, { force: true })
    lock?.close()
    // A full disk or an I/O error may pass by itself; what starts us may try again.
    const mayPass = /FULL|IOERR|ENOSPC|EIO|EDQUOT/.test(String((error as Coded).code))
    if (error instanceof CannotStart || mayPass) throw error
    throw cannot(error as Error, 'Nothing in it was changed')
  }
}

function openOrHeal<T>(file: string, kind: StoreKind, begin: (db: Database.Database) => T) {
  const healed = healBefore(file, kind)
  try {
    return { ...open(file, kind, begin), healed }
  } catch (error) {
    if (healed) throw error
    const healedNow: Healed = healAfter(file, kind, error)
    return { ...open(file, kind, begin), healed: healedNow }
  }
}

function open<T>(file: string, kind: StoreKind, begin: (db: Database.Database) => T) {
  const db = new Database(file)
  try {
    prepare(db, kind.applicationId, kind.migrations)
    return { db, begun: begin(db) }
  } catch (error) {
    db.close()
    throw error
  }
}
