import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { isDamage } from './damage-mark.ts'

/**
 * Opens the other process's file read-only. Returns null when the file is missing or not yet
 * created: a state, not an error. Calls `onDamage` with the reason when the file is damaged. Never
 * opens read-write, because the last reader to close would checkpoint the writer's file and delete
 * its WAL.
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
    const owner = db.pragma('application_id', { simple: true })
    if (owner === applicationId) return db
    // A file that is being created has no application_id yet.
    if (owner !== 0) onDamage(`application_id is ${owner}`)
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
    if (isDamage(error)) onDamage(error.message)
  }
  db?.close()
  return null
}

/** The rows of a file that may be damaged: all rows up to SQLite's first error. */
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
