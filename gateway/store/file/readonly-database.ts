import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { isDamage } from './damage-mark.ts'

/**
 * Opens the other side's file for reading only, or gives null when it is missing or not yet made:
 * a state, not an error. Tells `onDamage` why, when it is damaged instead. Never read-write,
 * because a reader that closes last would checkpoint the writer's file and delete its WAL.
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
    // While it is being made it has none yet.
    if (owner !== 0) onDamage(`application_id is ${owner}`)
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
    if (isDamage(error)) onDamage(error.message)
  }
  db?.close()
  return null
}

/** The rows of a file that may be damaged, as many as can be read before it says so. */
export function readRows<T>(file: string, query: string, ...given: unknown[]): T[] {
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
