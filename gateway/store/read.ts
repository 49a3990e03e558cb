import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'

/**
 * Opens the other side's file for reading only, or gives null when it is missing or not yet made:
 * a state, not an error. Never read-write, because a reader that closes last would checkpoint the
 * writer's file and delete its WAL.
 */
export function openForReading(file: string, applicationId: number) {
  if (!existsSync(file)) return null
  let db: Database.Database | undefined
  try {
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: 2000 })
    db.pragma('cache_size = -1000')
    if (db.pragma('application_id', { simple: true }) === applicationId) return db
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
  }
  db?.close()
  return null
}

/** The rows of a file that may be damaged, as many as can be read before it says so. */
export function peek<T>(file: string, query: string, ...given: unknown[]): T[] {
  const rows: T[] = []
  let db: Database.Database | undefined
  try {
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: 2000 })
    for (const row of db.prepare(query).iterate(...given)) rows.push(row as T)
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
  } finally {
    db?.close()
  }
  return rows
}
