import { createHash } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { copyStoreFiles } from './sample-store.ts'

/**
 * A digest of everything that SQLite reads from both databases of a store and from their
 * write-ahead logs: settings, tables, rows, and the result of the integrity check. When a flipped
 * bit does not change the digest, SQLite does not use that bit. Reads a copy, because opening a
 * database changes its files.
 */
export function digestStore(dir: string): string {
  const copy = join(dir, 'copy')
  mkdirSync(copy)
  copyStoreFiles(dir, copy)
  const hash = createHash('sha256')
  try {
    for (const name of ['outbox.db', 'inbox.db']) addAll(hash, join(copy, name))
  } catch (error) {
    hash.update(String(error))
  } finally {
    rmSync(copy, { recursive: true })
  }
  return hash.digest('hex')
}

const SETTINGS = ['application_id', 'user_version', 'auto_vacuum', 'journal_mode', 'encoding']

function addAll(hash: ReturnType<typeof createHash>, file: string): void {
  using stack = new DisposableStack()
  const db = stack.adopt(new Database(file), opened => opened.close())
  const add = (rows: Iterable<unknown>) => {
    for (const row of rows) hash.update(JSON.stringify(row))
  }
  add(SETTINGS.map(name => db.pragma(name)))
  add([db.pragma('integrity_check')])
  add(db.prepare('SELECT * FROM sqlite_schema').raw().iterate())
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
  for (const table of tables) add(db.prepare(`SELECT * FROM "${table}"`).raw().iterate())
}
