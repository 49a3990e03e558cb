import { readFileSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import {
  INBOX_APPLICATION_ID,
  inboxMigrations,
  OUTBOX_APPLICATION_ID,
  outboxMigrations,
  prepareDatabase,
} from '../../../../gateway/store/file/schema.ts'
import { temporary } from '../fixture.ts'

/** Runs work on an open database, and closes the database even after an error. */
function withDatabase<T>(file: string, work: (db: Database.Database) => T): T {
  const db = new Database(file)
  try {
    return work(db)
  } finally {
    db.close()
  }
}
const VERSION = outboxMigrations.length
const prepareOutbox = (db: Database.Database) =>
  prepareDatabase(db, OUTBOX_APPLICATION_ID, outboxMigrations)
const marksOf = (db: Database.Database) =>
  ['application_id', 'user_version', 'journal_mode', 'synchronous', 'auto_vacuum'].map(name =>
    db.pragma(name, { simple: true }),
  )

describe('preparing a file', () => {
  it('creates a new file with synchronous=FULL, as read back, and keeps an existing file', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const expected = [0x536c4f62, VERSION, 'wal', 2, 2]
    withDatabase(file, db => {
      prepareOutbox(db)
      expect(marksOf(db)).toEqual(expected)
      db.exec('INSERT INTO headsUpTo VALUES (7)')
    })
    withDatabase(file, db => {
      expect(marksOf(db)[3]).toBe(1)
      prepareOutbox(db)
      expect(marksOf(db)).toEqual(expected)
      expect(db.prepare('SELECT sequence FROM headsUpTo').pluck().all()).toEqual([0, 7])
    })
  })

  it('completes a file whose creation was interrupted', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    withDatabase(file, db => {
      db.pragma('auto_vacuum = INCREMENTAL')
      db.pragma('journal_mode = WAL')
    })
    withDatabase(file, db => {
      prepareOutbox(db)
      expect(marksOf(db)).toEqual([OUTBOX_APPLICATION_ID, VERSION, 'wal', 2, 2])
    })
  })

  it('leaves nothing of a failing migration', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const broken = [...outboxMigrations, 'CREATE TABLE more (x INTEGER) STRICT; CREATE NONSENSE;']
    withDatabase(file, db =>
      expect(() => prepareDatabase(db, OUTBOX_APPLICATION_ID, broken)).toThrow('NONSENSE'),
    )
    withDatabase(file, db => {
      expect(marksOf(db).slice(0, 2)).toEqual([OUTBOX_APPLICATION_ID, VERSION])
      expect(() => db.prepare('SELECT * FROM more')).toThrow('no such table')
    })
  })

  it('brings an older file to the newest version', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    withDatabase(file, prepareOutbox)
    const newer = [...outboxMigrations, 'CREATE TABLE more (x INTEGER) STRICT']
    withDatabase(file, db => {
      prepareDatabase(db, OUTBOX_APPLICATION_ID, newer)
      expect(marksOf(db)).toEqual([OUTBOX_APPLICATION_ID, VERSION + 1, 'wal', 2, 2])
      expect(db.prepare('SELECT * FROM more').all()).toEqual([])
    })
  })

  it('refuses a connection that does not accept a pragma', () => {
    withDatabase(':memory:', db => expect(() => prepareOutbox(db)).toThrow('memory,2,2, not wal'))
  })

  it('refuses an outbox that was created without incremental vacuum', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    withDatabase(file, db =>
      db.exec(`CREATE TABLE x (y); PRAGMA application_id = ${OUTBOX_APPLICATION_ID}`),
    )
    withDatabase(file, db =>
      expect(() => prepareDatabase(db, OUTBOX_APPLICATION_ID, [])).toThrow('wal,2,0, not wal'),
    )
  })
})

describe('a file that is not ours', () => {
  const foreign: [string, (file: string) => void, string][] = [
    ['a foreign SQLite file', file => withDatabase(file, db => db.exec('CREATE TABLE x (y)')), ''],
    [
      'a foreign SQLite file without tables',
      file => withDatabase(file, db => db.exec('PRAGMA application_id = 77')),
      '',
    ],
    [
      'an inbox in place of an outbox',
      file => withDatabase(file, db => prepareDatabase(db, INBOX_APPLICATION_ID, inboxMigrations)),
      '',
    ],
    ['a text', file => writeFileSync(file, 'not a database, and long enough '.repeat(200)), ''],
    [
      'an outbox of a newer format',
      file => {
        withDatabase(file, prepareOutbox)
        withDatabase(file, db => db.exec(`PRAGMA user_version = ${VERSION + 1}`))
      },
      `has format ${VERSION + 1}, newer than this program's ${VERSION}`,
    ],
  ]

  it.each(foreign)('%s is refused, named in the error, and not changed', (_, make, reason) => {
    using place = temporary()
    const file = place.file('outbox.db')
    make(file)
    const before = readFileSync(file)
    withDatabase(file, db => {
      expect(() => prepareOutbox(db)).toThrow(`${file} ${reason || 'is of another kind'}`)
    })
    expect(readFileSync(file).equals(before)).toBe(true)
  })
})
