import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import {
  INBOX_APPLICATION_ID,
  inboxMigrations,
  type Migration,
  OUTBOX_APPLICATION_ID,
  outboxMigrations,
  prepareDatabase,
} from '../../../../gateway/store/file/schema.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { reading, readOutbox, temporary } from '../fixture.ts'

const store = Buffer.alloc(16, 7)

/** Creates a file of an older version; `fill` writes its rows. */
function createOldFile(
  file: string,
  [applicationId, migrations]: [number, Migration[]],
  fill: (db: Database.Database) => void = () => {},
): void {
  const db = new Database(file)
  prepareDatabase(db, applicationId, migrations)
  fill(db)
  db.close()
}

const rowsOf = (file: string, query: string) => {
  const db = new Database(file, { readonly: true })
  try {
    return db.prepare(query).raw().all()
  } finally {
    db.close()
  }
}
const versionOf = (file: string) => (rowsOf(file, 'PRAGMA user_version') as number[][])[0]![0]
const versions = (migrations: Migration[]) => migrations.map((_, at) => at + 1)

/**
 * The groups and notes of an outbox, with the columns of version 1, which all later versions have,
 * too.
 */
function rowsOfOutbox(file: string) {
  const outbox = openOutbox({ file, gateway: 'gw' })
  outbox.commit({ readings: [reading('a', 1), reading('b', 2)], deadLetters: [] })
  outbox.close()
  const db = new Database(file, { readonly: true })
  const [group] = db.prepare('SELECT * FROM groups').all() as Record<string, unknown>[]
  const notes = db.prepare('SELECT * FROM notes').all() as Record<string, unknown>[]
  db.close()
  return { store: outbox.store, epoch: outbox.epoch, group: group!, notes }
}

function insert(db: Database.Database, table: string, row: Record<string, unknown>): void {
  const names = (db.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name)
  const known = names.filter(name => name in row)
  db.prepare(
    `INSERT INTO ${table} (${known.map(name => `"${name}"`)}) VALUES (${known.map(name => `@${name}`)})`,
  ).run(row)
}

describe('a file of an earlier version', () => {
  it.each(versions(outboxMigrations))(
    'becomes an outbox of the newest version with all its rows: version %i',
    version => {
      using place = temporary()
      const model = place.file('model.db')
      const rows = rowsOfOutbox(model)
      const file = place.file('outbox.db')
      createOldFile(file, [OUTBOX_APPLICATION_ID, outboxMigrations.slice(0, version)], db => {
        const created = { id: rows.store, gateway: 'gw', created: 1, epoch: rows.epoch }
        insert(db, 'store', created)
        insert(db, 'groups', rows.group)
        for (const note of rows.notes) insert(db, 'notes', note)
      })
      expect(versionOf(file)).toBe(version)
      const outbox = openOutbox({ file, gateway: 'gw' })
      expect([outbox.recovery, outbox.store, outbox.lastSequence]).toEqual([null, rows.store, 2])
      outbox.commit({ readings: [reading('a', 3)], deadLetters: [] })
      outbox.close()
      expect(versionOf(file)).toBe(outboxMigrations.length)
      const [before, after] = [readOutbox(model), readOutbox(file)]
      expect(after.events.slice(0, 2)).toEqual(before.events)
      expect(after.events[2]).toMatchObject({ sequence: 3 })
      expect(after.notes.slice(0, rows.notes.length)).toEqual(before.notes)
    },
  )

  it.each(versions(inboxMigrations))(
    'becomes an inbox of the newest version with its positions: version %i',
    version => {
      using place = temporary()
      const file = place.file('inbox.db')
      createOldFile(file, [INBOX_APPLICATION_ID, inboxMigrations.slice(0, version)], db => {
        const range = { id: 3, store, next: 7, topic: 't', partitions: 6, reason: 'r' }
        insert(db, 'ranges', range)
        insert(db, 'notePositions', { store, next: 4 })
        insert(db, 'store', { id: store })
      })
      const inbox = openInbox({ file, settleMs: 1 })
      expect([inbox.recovery, inbox.id, inbox.nextNote(store)]).toEqual([null, store, 4])
      expect(inbox.rangesOf(store)).toMatchObject([{ id: 3, next: 7, topic: 't', partitions: 6 }])
      inbox.close()
      expect(versionOf(file)).toBe(inboxMigrations.length)
    },
  )
})

describe('a list of migrations', () => {
  const first = 'CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1)'
  const second = 'ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1'
  const third = 'CREATE TABLE b (z INTEGER) STRICT; INSERT INTO b SELECT y + 1 FROM a'
  const broken = `UPDATE a SET x = 99; CREATE TABLE half (h INTEGER) STRICT; NONSENSE`
  const APPLICATION = 4711

  it('runs from the version of a file', () => {
    for (const from of [0, 1, 2, 3]) {
      using place = temporary()
      const file = place.file('x.db')
      if (from > 0) createOldFile(file, [APPLICATION, [first, second, third].slice(0, from)])
      createOldFile(file, [APPLICATION, [first, second, third]])
      expect([
        versionOf(file),
        rowsOf(file, 'SELECT * FROM a'),
        rowsOf(file, 'SELECT * FROM b'),
      ]).toEqual([3, [[1, 2]], [[3]]])
    }
  })

  it('leaves a file at the version before a failing migration, and nothing of that migration', () => {
    for (const from of [1, 2]) {
      using place = temporary()
      const file = place.file('x.db')
      createOldFile(file, [APPLICATION, [first, second].slice(0, from)])
      const failing = () => createOldFile(file, [APPLICATION, [first, second, broken]])
      expect(failing).toThrow('NONSENSE')
      expect([versionOf(file), rowsOf(file, 'SELECT * FROM a')]).toEqual([2, [[1, 2]]])
      expect(() => rowsOf(file, 'SELECT * FROM half')).toThrow('no such table')
      createOldFile(file, [APPLICATION, [first, second, third]])
      expect([versionOf(file), rowsOf(file, 'SELECT * FROM b')]).toEqual([3, [[3]]])
    }
  })

  it('does not run backwards: a file of a newer program is refused', () => {
    using place = temporary()
    const file = place.file('x.db')
    createOldFile(file, [APPLICATION, [first, second, third]])
    expect(() => createOldFile(file, [APPLICATION, [first, second]])).toThrow(
      "has format 3, newer than this program's 2",
    )
    expect(versionOf(file)).toBe(3)
  })
})
