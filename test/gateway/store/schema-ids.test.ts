import Database from 'better-sqlite3'
import { expect, it } from 'vitest'
import { markDamaged } from '../../../gateway/store/file/damage-mark.ts'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { temporary } from './fixture.ts'

const name = {
  registry: 'http://r',
  subject: 'readings-value',
  fingerprint: Buffer.from('2f6f7133d40c82fc', 'hex'),
}
const open = (file: string) => openInbox({ file, settleMs: 1_000_000 })
const reopened = (file: string, spoil: (db: Database.Database) => void) => {
  const db = new Database(file)
  spoil(db)
  db.close()
  return open(file)
}

it('keeps the number that each registry gave to a schema under each subject', () => {
  using place = temporary()
  const file = place.file('inbox.db')
  const inbox = open(file)
  expect(inbox.schemaId(name)).toBe(null)
  inbox.keepSchemaId(name, 7)
  inbox.keepSchemaId({ ...name, registry: 'http://s' }, 1)
  inbox.keepSchemaId({ ...name, subject: 'backfill-value' }, 2)
  inbox.keepSchemaId({ ...name, fingerprint: Buffer.alloc(8) }, 3)
  inbox.keepSchemaId(name, 8)
  inbox.close()
  const again = open(file)
  expect(again.schemaId(name)).toBe(8)
  expect(again.schemaId({ ...name, subject: 'backfill-value' })).toBe(2)
  again.close()
})

it.each([
  ['number', 'UPDATE schemaIds SET id = 9'],
  ['subject', "UPDATE schemaIds SET subject = 'readings-valuf'"],
  ['registry', "UPDATE schemaIds SET registry = 'http://s'"],
  ['schema', "UPDATE schemaIds SET fingerprint = x'2f6f7133d40c82fd'"],
])('forgets one whose %s is damaged', (_, damage) => {
  using place = temporary()
  const file = place.file('inbox.db')
  const inbox = open(file)
  inbox.keepSchemaId(name, 7)
  inbox.close()
  const again = reopened(file, db => db.exec(damage))
  const fingerprint = Buffer.from('2f6f7133d40c82fd', 'hex')
  const other = { registry: 'http://s', subject: 'readings-valuf', fingerprint }
  for (const registry of [name.registry, other.registry])
    for (const subject of [name.subject, other.subject])
      for (const one of [name.fingerprint, other.fingerprint])
        expect(again.schemaId({ registry, subject, fingerprint: one })).toBe(null)
  again.keepSchemaId(name, 7)
  expect(again.schemaId(name)).toBe(7)
  again.close()
})

it('takes over what is whole when the inbox is begun anew', () => {
  using place = temporary()
  const file = place.file('inbox.db')
  const inbox = open(file)
  inbox.keepSchemaId(name, 7)
  inbox.keepSchemaId({ ...name, subject: 'backfill-value' }, 2)
  inbox.close()
  markDamaged(file, 'for a test')
  const again = reopened(file, db =>
    db.exec("UPDATE schemaIds SET id = 9 WHERE subject LIKE 'back%'"),
  )
  expect(again.recovery).toMatchObject({ reason: 'for a test' })
  expect(again.schemaId(name)).toBe(7)
  expect(again.schemaId({ ...name, subject: 'backfill-value' })).toBe(null)
  again.close()
})
