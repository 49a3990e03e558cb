import {
  closeSync,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { createPositionChecksum } from '../../../../gateway/store/delivery/position-checksum.ts'
import {
  INBOX_APPLICATION_ID,
  inboxMigrations,
  OUTBOX_APPLICATION_ID,
  outboxMigrations,
  prepareDatabase,
  runMigration,
} from '../../../../gateway/store/file/schema.ts'
import type { FileVersions } from '../recording/marks.ts'

const kinds = {
  outbox: { id: OUTBOX_APPLICATION_ID, migrations: outboxMigrations },
  inbox: { id: INBOX_APPLICATION_ID, migrations: inboxMigrations },
}

export type FileKind = keyof typeof kinds

/** The versions that the current program writes. */
export const newestVersions: FileVersions = {
  outbox: outboxMigrations.length,
  inbox: inboxMigrations.length,
}

/** Every earlier version of each file. */
export const olderVersions = (Object.keys(kinds) as FileKind[]).flatMap(kind =>
  kinds[kind].migrations.slice(1).map((_, at) => ({ kind, version: at + 1 })),
)

/**
 * Replaces a file by a file of an earlier version with the same rows, and makes the replacement
 * durable.
 */
export function writeOlderVersion(dir: string, kind: FileKind, version: number): void {
  const file = join(dir, `${kind}.db`)
  const draft = join(dir, `${kind}.older`)
  const { id, migrations } = kinds[kind]
  const [current, older] = [new Database(file), new Database(draft)]
  prepareDatabase(older, id, migrations.slice(0, version))
  older.transaction(() => {
    for (const table of tablesOf(older).map(({ name }) => name)) copyTable(current, older, table)
    if (tablesOf(older).some(({ name }) => name === 'seal')) createPositionChecksum(older).write()
  })()
  current.close()
  older.close()
  renameSync(draft, file)
  // Fsyncs file and folder, so that no later cut loses the replacement.
  for (const path of [file, join(dir, '.')]) {
    const descriptor = openSync(path, 'r')
    fsyncSync(descriptor)
    closeSync(descriptor)
  }
}

function copyTable(from: Database.Database, to: Database.Database, table: string): void {
  const columns = (to.pragma(`table_info("${table}")`) as { name: string }[])
    .map(({ name }) => `"${name}"`)
    .join()
  to.exec(`DELETE FROM "${table}"`)
  const rows = from.prepare(`SELECT ${columns} FROM "${table}"`).raw().all() as unknown[][]
  for (const row of rows) {
    to.prepare(`INSERT INTO "${table}" VALUES (${row.map(() => '?').join()})`).run(row)
  }
}

/**
 * The version of a file after a power cut; 0 when there is no file. Reads a copy, because opening a
 * database changes its file. Throws an Error when the file does not have exactly the tables of its
 * version, or fails SQLite's integrity check.
 */
export function readVersion(dir: string, kind: FileKind): number {
  const copy = join(dir, 'copy')
  mkdirSync(copy)
  const belongsToFile = (name: string) =>
    name.startsWith(`${kind}.db`) && /\.db(-wal|-journal)?$/.test(name)
  for (const name of readdirSync(dir).filter(belongsToFile))
    copyFileSync(join(dir, name), join(copy, name))
  const db = new Database(join(copy, `${kind}.db`))
  const model = new Database(':memory:')
  try {
    const version = db.pragma('user_version', { simple: true }) as number
    for (const migration of kinds[kind].migrations.slice(0, version)) runMigration(model, migration)
    if (JSON.stringify(tablesOf(db)) !== JSON.stringify(tablesOf(model)))
      throw new Error(`the tables of the ${kind} are not those of its version ${version}`)
    const result = db.pragma('integrity_check', { simple: true })
    if (result !== 'ok') throw new Error(`integrity_check of the ${kind}: ${result}`)
    return version
  } finally {
    db.close()
    model.close()
    rmSync(copy, { recursive: true })
  }
}

function tablesOf(db: Database.Database): { name: string; sql: string }[] {
  const all = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name")
  return all.all() as { name: string; sql: string }[]
}
