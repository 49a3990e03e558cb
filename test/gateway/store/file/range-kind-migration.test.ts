import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openInboxReader } from '../../../../gateway/store/delivery/inbox-reader.ts'
import { createPositionChecksum } from '../../../../gateway/store/delivery/position-checksum.ts'
import {
  INBOX_APPLICATION_ID,
  inboxMigrations,
  prepareDatabase,
} from '../../../../gateway/store/file/schema.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { temporary } from '../fixture.ts'

const store = Buffer.alloc(16, 7)
/**
 * All texts `reason` that version 3 wrote, and the columns that the migration derives from each
 * text.
 */
const ranges = [
  { reason: 'first contact', kind: 'live' },
  { reason: 'live', kind: 'live' },
  { reason: 'spread', kind: 'live', end: 90 },
  {
    reason: 'backlog since note 12 from 5 to 80',
    kind: 'backlog',
    end: 80,
    deferral: { note: 12, from: 5, to: 80 },
  },
  {
    reason: 'apart since note 7 from 3 to null',
    kind: 'apart',
    deferral: { note: 7, from: 3, to: null },
  },
  {
    reason: 'replay 2023-11-14T22:13:20.000Z to 2023-11-14T22:14:20.000Z',
    kind: 'replay',
    end: 60,
  },
]

/**
 * An inbox of version 3 with these ranges, whose positions start at 50, and with a position of the
 * notes.
 */
function startVersion3({ hasChecksum = true } = {}) {
  const place = temporary()
  const file = place.file('inbox.db')
  const db = new Database(file)
  prepareDatabase(db, INBOX_APPLICATION_ID, inboxMigrations.slice(0, 3))
  const insert = db.prepare(
    `INSERT INTO ranges (store, next, "end", topic, partitions, reason)
     VALUES (@store, 50, @end, 't', 6, @reason)`,
  )
  for (const { reason, end = null } of ranges) insert.run({ store, end, reason })
  db.prepare('INSERT INTO notePositions VALUES (?, 9)').run(store)
  if (hasChecksum) createPositionChecksum(db).write()
  const open = () => openInbox({ file, settleMs: 1e6 })
  const run = (sql: string) => db.exec(sql)
  return { file, db, open, run, [Symbol.dispose]: () => place[Symbol.dispose]() }
}

describe('the migration of an inbox to version 4', () => {
  it.each([true, false])('reads kind and note of every range from its reason (%j)', hasChecksum => {
    using at = startVersion3({ hasChecksum })
    at.db.close()
    const inbox = at.open()
    expect(inbox.recovery).toBe(null)
    const rest = { store, next: 50, topic: 't', partitions: 6, zones: null }
    expect(inbox.rangesOf(store)).toEqual(
      ranges.map((range, index) => ({ ...rest, end: null, ...range, id: index + 1 })),
    )
    expect(inbox.nextNote(store)).toBe(9)
    inbox.close()
    const again = at.open()
    expect([again.recovery, again.rangesOf(store).length]).toEqual([null, ranges.length])
    again.close()
  })

  it.each([
    'UPDATE ranges SET next = 51 WHERE id = 1',
    "UPDATE ranges SET reason = 'replay a' WHERE id = 1",
    'UPDATE notePositions SET next = 10',
  ])('does not accept positions that were damaged before: %s', sql => {
    using at = startVersion3()
    at.run(sql)
    at.db.close()
    const inbox = at.open()
    expect(inbox.recovery).toMatchObject({ reason: expect.stringContaining('positions') })
    expect(inbox.rangesOf(store)).toEqual([])
    inbox.close()
  })

  it('protects the new columns by the checksum over the positions', () => {
    for (const column of ['note', 'noteFrom', 'noteTo']) {
      using at = startVersion3()
      at.db.close()
      at.open().close()
      const db = new Database(at.file)
      db.exec(`UPDATE ranges SET ${column} = 1 WHERE id = 4`)
      db.close()
      const inbox = at.open()
      expect(inbox.recovery).not.toBe(null)
      inbox.close()
    }
  })

  it('does not have to be made before the gateway reads the inbox', () => {
    using at = startVersion3()
    at.db.close()
    const read = openInboxReader(at.file)
    const before = read(store)
    expect(before).toMatchObject({ replayFrom: 50, nextNote: 9 })
    expect(before.pendingRanges).toHaveLength(ranges.length - 1)
    at.open().close()
    expect(read(store)).toEqual(before)
    read.close()
  })
})
