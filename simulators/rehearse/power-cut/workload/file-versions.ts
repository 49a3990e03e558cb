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
} from '../../../../gateway/store/file/schema.ts'
import type { FileVersions } from '../recording/marks.ts'

const kinds = {
  outbox: { id: OUTBOX_APPLICATION_ID, migrations: outboxMigrations },
  inbox: { id: INBOX_APPLICATION_ID, migrations: inboxMigrations },
}

export type FileKind = keyof typeof kinds

/** The versions that today's program writes. */
export const newestVersions: FileVersions = {
  outbox: outboxMigrations.length,
  inbox: inboxMigrations.length,
}

/** Every file and version that an earlier program may have left. */
export const olderVersions = (Object.keys(kinds) as FileKind[]).flatMap(kind =>
  kinds[kind].migrations.slice(1).map((_, at) => ({ kind, version: at + 1 })),
)

/** Makes a file as a program of an earlier version left it, with the rows that it has now. */
export function writeOlderVersion(dir: string, kind: FileKind, version: number): void {
  const file = join(dir, `${kind}.db`)
  const draft = join(dir, `${kind}.older`)
  const { id, migrations } = kinds[kind]
  const [now, then] = [new Database(file), new Database(draft)]
  prepareDatabase(then, id, migrations.slice(0, version))
  then.transaction(() => {
    for (const table of tablesOf(then).map(({ name }) => name)) copyTable(now, then, table)
    if (tablesOf(then).some(({ name }) => name === 'seal')) createPositionChecksum(then).write()
  })()
  now.close()
  then.close()
  renameSync(draft, file)
  // All of it was long ago: nothing of how it was made may be left by a cut.
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
 * What version a file has that a power cut left, looked at in a copy, because opening it changes
 * it; 0 when there is none. Throws an Error when it is not a version whole: exactly its tables, and
 * nothing that SQLite's own check finds.
 */
export function readVersion(dir: string, kind: FileKind): number {
  const copy = join(dir, 'copy')
  mkdirSync(copy)
  const isOf = (name: string) => name.startsWith(`${kind}.db`) && /\.db(-wal|-journal)?$/.test(name)
  for (const name of readdirSync(dir).filter(isOf)) copyFileSync(join(dir, name), join(copy, name))
  const db = new Database(join(copy, `${kind}.db`))
  const model = new Database(':memory:')
  try {
    const version = db.pragma('user_version', { simple: true }) as number
    for (const migration of kinds[kind].migrations.slice(0, version)) model.exec(migration)
    if (JSON.stringify(tablesOf(db)) !== JSON.stringify(tablesOf(model)))
      throw new Error(`the ${kind} is half of version ${version}`)
    const said = db.pragma('integrity_check', { simple: true })
    if (said !== 'ok') throw new Error(`integrity_check of the ${kind}: ${said}`)
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
