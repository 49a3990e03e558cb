import Database from 'better-sqlite3'
import { expect, it } from 'vitest'
import { markDamaged } from '../../../gateway/store/file/damage-mark.ts'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { temporary } from './fixture.ts'

const key = {
  registry: 'http://r',
  subject: 'readings-value',
  fingerprint: Buffer.from('2f6f7133d40c82fc', 'hex'),
}
const open = (file: string) => openInbox({ file, settleMs: 1_000_000 })
const reopen = (file: string, damage: (db: Database.Database) => void) => {
  const db = new Database(file)
  damage(db)
  db.close()
  return open(file)
}

it('stores the id that each registry gave to a schema under each subject', () => {
  using place = temporary()
  const file = place.file('inbox.db')
  const inbox = open(file)
  expect(inbox.schemaId(key)).toBe(null)
  inbox.keepSchemaId(key, 7)
  inbox.keepSchemaId({ ...key, registry: 'http://s' }, 1)
  inbox.keepSchemaId({ ...key, subject: 'backfill-value' }, 2)
  inbox.keepSchemaId({ ...key, fingerprint: Buffer.alloc(8) }, 3)
  inbox.keepSchemaId(key, 8)
  inbox.close()
  const reopened = open(file)
  expect(reopened.schemaId(key)).toBe(8)
  expect(reopened.schemaId({ ...key, subject: 'backfill-value' })).toBe(2)
  reopened.close()
})

it.each([
  ['number', 'UPDATE schemaIds SET id = 9'],
  ['subject', "UPDATE schemaIds SET subject = 'readings-valuf'"],
  ['registry', "UPDATE schemaIds SET registry = 'http://s'"],
  ['schema', "UPDATE schemaIds SET fingerprint = x'2f6f7133d40c82fd'"],
])('ignores a schema id whose %s is damaged', (_, damage) => {
  using place = temporary()
  const file = place.file('inbox.db')
  const inbox = open(file)
  inbox.keepSchemaId(key, 7)
  inbox.close()
  const reopened = reopen(file, db => db.exec(damage))
  const fingerprint = Buffer.from('2f6f7133d40c82fd', 'hex')
  const other = { registry: 'http://s', subject: 'readings-valuf', fingerprint }
  for (const registry of [key.registry, other.registry])
    for (const subject of [key.subject, other.subject])
      for (const fingerprint of [key.fingerprint, other.fingerprint])
        expect(reopened.schemaId({ registry, subject, fingerprint })).toBe(null)
  reopened.keepSchemaId(key, 7)
  expect(reopened.schemaId(key)).toBe(7)
  reopened.close()
})

it('copies intact schema ids when a damaged inbox is replaced', () => {
  using place = temporary()
  const file = place.file('inbox.db')
  const inbox = open(file)
  inbox.keepSchemaId(key, 7)
  inbox.keepSchemaId({ ...key, subject: 'backfill-value' }, 2)
  inbox.close()
  markDamaged(file, 'for a test')
  const reopened = reopen(file, db =>
    db.exec("UPDATE schemaIds SET id = 9 WHERE subject LIKE 'back%'"),
  )
  expect(reopened.recovery).toMatchObject({ reason: 'for a test' })
  expect(reopened.schemaId(key)).toBe(7)
  expect(reopened.schemaId({ ...key, subject: 'backfill-value' })).toBe(null)
  reopened.close()
})
