import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { isDamage } from './damage-mark.ts'
import { hexId } from './schema.ts'

/**
 * Opens an outbox or inbox that another process writes, read-only. Returns null when the file
 * cannot be used: it is missing, still being created, busy, damaged, or of another kind. Calls
 * `onDamage` with the reason when the file is damaged or of another kind. Never opens the file
 * read-write, because the last connection to close would then checkpoint the writer's file and
 * delete its WAL.
 */
export function openReadOnly(
  file: string,
  applicationId: number,
  onDamage: (reason: string) => void = () => {},
) {
  if (!existsSync(file)) return null
  let db: Database.Database | undefined
  try {
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: 2000 })
    db.pragma('cache_size = -1000')
    const owner = db.pragma('application_id', { simple: true }) as number
    if (owner === applicationId) return db
    // A file that is being created has no application_id yet.
    if (owner !== 0) {
      onDamage(`application_id is ${hexId(owner)}, expected ${hexId(applicationId)}`)
    }
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
    if (isDamage(error)) onDamage(error.message)
  }
  db?.close()
  return null
}

/** Reads the rows of a file that may be damaged: all rows before SQLite's first error. */
export function readRows<T>(file: string, query: string, ...parameters: unknown[]): T[] {
  const rows: T[] = []
  let db: Database.Database | undefined
  try {
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: 2000 })
    for (const row of db.prepare(query).iterate(...parameters)) rows.push(row as T)
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
  } finally {
    db?.close()
  }
  return rows
}
