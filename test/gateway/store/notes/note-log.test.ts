import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { DamagedFileError } from '../../../../gateway/store/file/damage-mark.ts'
import {
  OUTBOX_APPLICATION_ID,
  outboxMigrations,
  prepareDatabase,
} from '../../../../gateway/store/file/schema.ts'
import { createNoteLog, createNoteReader } from '../../../../gateway/store/notes/note-log.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { readOutbox, temporary } from '../fixture.ts'

function startNotes() {
  const db = new Database(':memory:')
  db.exec(outboxMigrations[0]!)
  const notes = createNoteLog(db)
  const read = createNoteReader(db, () => notes.last)
  const add = (content: Record<string, unknown>) => notes.add({ kind: 'rehearsed', content }, 5)
  return { db, notes, read, add, [Symbol.dispose]: () => db.close() }
}

describe('the note log', () => {
  it('reads notes with their content, from a number on', () => {
    using at = startNotes()
    at.notes.add({ kind: 'rehearsed', content: { zones: [['é "', 3]] } }, 5)
    at.notes.addDeadLetter(6, {
      ...{ reason: 'r', place: 'a.0', topic: 'x/\u0000' },
      payload: Buffer.from('00ff80', 'hex'),
    })
    const note = { sequence: 1, kind: 'rehearsed', at: 5, content: { zones: [['é "', 3]] } }
    const deadLetter = {
      ...{ sequence: 2, kind: 'deadletter', at: 6 },
      content: { reason: 'r', place: 'a.0', topic: 'x/\u0000', payload: 'AP+A' },
    }
    expect(at.read(1)).toEqual([note, deadLetter])
    expect(at.read(2)).toEqual([deadLetter])
    expect(at.read(3)).toEqual([])
  })

  it('reads at most 500 notes and about half a megabyte at a time', () => {
    using at = startNotes()
    for (let n = 0; n < 501; n++) at.add({})
    expect(at.read(1)).toHaveLength(500)
    expect(at.read(501)).toHaveLength(1)
    for (let n = 0; n < 4; n++) at.add({ text: 'x'.repeat(300_000) })
    expect(at.read(502)).toHaveLength(2)
    expect(at.read(504)).toHaveLength(2)
  })

  it('throws on a note with a number that was never given: other notes would be skipped', () => {
    using at = startNotes()
    for (let n = 0; n < 3; n++) at.add({ n })
    at.db.exec('UPDATE notes SET sequence = 3003 WHERE sequence = 3')
    expect(() => at.read(1)).toThrow(DamagedFileError)
    expect(() => createNoteLog(at.db)).toThrow(DamagedFileError)
  })

  it('reads at least one note, whatever its size', () => {
    using at = startNotes()
    at.add({ text: 'x'.repeat(2_000_000) })
    at.add({})
    expect(at.read(1)).toHaveLength(1)
  })

  it('gives the numbers of a failed commit to the next notes', () => {
    using at = startNotes()
    at.add({})
    const fails = () => {
      at.add({ lost: true })
      throw new Error('no room')
    }
    expect(() => at.notes.transact(fails)).toThrow('no room')
    at.add({ kept: true })
    expect(at.read(1).map(({ sequence, content }) => [sequence, content])).toEqual([
      [1, {}],
      [2, { kept: true }],
    ])
    expect(createNoteLog(at.db).last).toBe(2)
  })

  it.each([
    ["body = x'7b7d'", 'body'],
    ["kind = 'epoch'", 'kind'],
    ['at = 6', 'time'],
    ['crc = 0', 'checksum'],
    ["body = x''", 'empty body'],
  ])('reads a note with a damaged column (%s) as damaged, and the next note as usual', damage => {
    using at = startNotes()
    at.add({ a: 1 })
    at.add({ b: 1 })
    at.db.exec(`UPDATE notes SET ${damage} WHERE sequence = 1`)
    expect(at.read(1).map(({ content }) => content)).toEqual([
      { reason: 'note checksum differs' },
      { b: 1 },
    ])
  })

  it('reads a note whose body has another type as damaged', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    openOutbox({ file, gateway: 'gw' }).close()
    const db = new Database(file)
    // A flipped bit in a record's header can change a value in this way. `unsafeMode` is needed
    // because a STRICT table would refuse such a value.
    db.unsafeMode()
    db.exec(`PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'notes';
      UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '') WHERE name = 'notes'`)
    db.close()
    const reopened = new Database(file)
    reopened.exec('UPDATE notes SET body = NULL')
    reopened.close()
    expect(readOutbox(file).notes[0]!.content).toEqual({ reason: 'note checksum differs' })
  })

  it('is empty in a new file; the first open of an outbox adds an epoch note', () => {
    using place = temporary()
    const db = new Database(place.file('outbox.db'))
    prepareDatabase(db, OUTBOX_APPLICATION_ID, outboxMigrations)
    expect(createNoteLog(db).last).toBe(0)
    db.close()
    openOutbox({ file: place.file('outbox.db'), gateway: 'gw' }).close()
    expect(readOutbox(place.file('outbox.db')).notes).toMatchObject([
      { sequence: 1, kind: 'epoch', gateway: 'gw', content: { firstSequence: 1, previous: null } },
    ])
  })
})
