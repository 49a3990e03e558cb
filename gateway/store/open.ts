import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { CannotStart } from '../../config/lifetime.ts'
import { holdLock } from './lock.ts'
import { prepare } from './schema.ts'

type Coded = { code?: unknown }

/** Which of the two files: its configuration key, its mark and its migrations. */
export type StoreKind = { key: string; applicationId: number; migrations: string[] }

/**
 * Opens a file for its one writer and brings it to the newest version; creates it, and its
 * directory, when there is none. The directory above must be there, because an outbox must not
 * quietly land beside a volume that is not mounted. Throws Locked when another process writes, and
 * CannotStart, which names key, path and cure, when the file cannot be opened or is not ours.
 */
export function openForWriting(file: string, { key, applicationId, migrations }: StoreKind) {
  const dir = dirname(file)
  const cannot = (cause: Error, cure: string) =>
    new CannotStart(`${key} = ${file}: ${cause.message}. ${cure}`, { cause })
  try {
    if (!existsSync(dir)) mkdirSync(dir, { mode: 0o700 })
  } catch (error) {
    throw cannot(error as Error, `Create the directory above ${dir}, or name another path`)
  }
  let lock: ReturnType<typeof holdLock> | null = null
  try {
    lock = holdLock(`${file}.lock`)
    const db = new Database(file)
    prepare(db, applicationId, migrations)
    return { db, lock }
  } catch (error) {
    lock?.close()
    // A full disk or an I/O error may pass by itself; what starts us may try again.
    if (error instanceof CannotStart || /FULL|IOERR/.test(String((error as Coded).code)))
      throw error
    throw cannot(error as Error, 'Nothing in it was changed')
  }
}
