import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import {
  openInboxReader,
  readInboxProgress,
} from '../../../../gateway/store/delivery/inbox-reader.ts'
import { MustReopenError, readDamageReason } from '../../../../gateway/store/file/damage-mark.ts'
import { setAsideFilesOf } from '../../../../gateway/store/file/damaged-files.ts'
import {
  INBOX_APPLICATION_ID,
  inboxMigrations,
  prepareDatabase,
} from '../../../../gateway/store/file/schema.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { flip, isFirst, overwrite } from '../file/damaged-file.ts'
import { temporary } from '../fixture.ts'
import { commit, numbersOf, openStores } from '../source/source-fixture.ts'

const store = Buffer.alloc(16, 7)
const range = {
  ...{ store, next: 1, end: null, topic: 't', partitions: 6, zones: null },
  kind: 'live' as const,
  reason: 'first contact',
}
const open = (file: string) => openInbox({ file, settleMs: 1_000_000 })

/** An inbox with a range at 20 and a note position at 5, closed and then damaged. */
function withDamaged(damage: (file: string) => void) {
  const place = temporary()
  const file = place.file('inbox.db')
  const inbox = open(file)
  const { id } = inbox.addRange(range)
  inbox.moveRange({ id, next: 20 })
  inbox.moveNotes(store, 5)
  inbox.close()
  damage(file)
  return { file, dir: place.dir, [Symbol.dispose]: place[Symbol.dispose] }
}

describe('an inbox that does not open', () => {
  it.each([
    ['its first page is gone', (file: string) => void overwrite(file, isFirst)],
    ['its magic is damaged', (file: string) => flip(file, 5)],
    ['all pages are gone', (file: string) => void overwrite(file, () => true)],
    [
      'the file is a text',
      (file: string) => writeFileSync(file, 'no database any more '.repeat(500)),
    ],
    [
      'the file is truncated',
      (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 5000)),
    ],
  ])('is set aside, and the new inbox notes so: %s', (_, damage) => {
    using at = withDamaged(damage)
    const inbox = open(at.file)
    const [aside] = setAsideFilesOf(at.file)
    expect(inbox.recovery).toMatchObject({ file: aside!.file })
    expect(inbox.rangesOf(store)).toEqual([])
    expect(inbox.nextNote(store)).toBe(null)
    expect(inbox.notesFrom(1)).toMatchObject([
      { kind: 'quarantine', content: { what: 'inbox', file: basename(aside!.file) } },
    ])
    inbox.close()
    const reopened = open(at.file)
    expect(reopened.recovery).toBe(null)
    expect(reopened.id).toEqual(inbox.id)
    reopened.close()
    expect(readdirSync(at.dir).filter(name => /heal|damaged$/.test(name))).toEqual([])
  })

  it('leads to a second delivery of the whole outbox, under the same numbers', () => {
    using place = openStores()
    const outbox = place.openOutbox()
    commit(outbox, 1, 2, 3)
    place.source.refresh()
    place.source.ensureLiveRange('readings', 6)
    expect(numbersOf(place.source)).toEqual([1, 2, 3])
    place.stop()
    overwrite(place.inboxFile, isFirst)
    place.start()
    place.source.refresh()
    place.source.ensureLiveRange('readings', 6)
    expect(numbersOf(place.source)).toEqual([1, 2, 3])
    outbox.close()
  })

  it('is left untouched when the file is foreign', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    writeFileSync(file, 'somebody else wrote this, and it is long enough '.repeat(100))
    const before = readFileSync(file)
    for (let start = 0; start < 3; start++) {
      expect(() => open(file)).toThrow(`inbox.file = ${file}: `)
      expect(readFileSync(file).equals(before)).toBe(true)
    }
  })
})

describe('the notes of an inbox', () => {
  it('survive a rebuild, because they name what was lost', () => {
    using at = withDamaged(file => {
      const inbox = open(file)
      inbox.addNotes([1, 2].map(number => ({ kind: 'rehearsed', content: { number } })))
      inbox.close()
      overwrite(file, isFirst)
    })
    const inbox = open(at.file)
    const kinds = inbox.notesFrom(1).map(({ sequence, kind }) => [sequence, kind])
    expect(kinds).toEqual([
      [1, 'rehearsed'],
      [2, 'rehearsed'],
      [3, 'quarantine'],
    ])
    inbox.close()
  })
})

describe('an inbox whose damage shows while it is open', () => {
  it('is marked, must be reopened, and is then rebuilt', () => {
    using at = withDamaged(file => {
      const inbox = open(file)
      inbox.addNotes(new Array(100).fill({ kind: 'jump', content: { text: 'x'.repeat(3000) } }))
      inbox.close()
      const pages = readFileSync(file).length / 4096
      overwrite(file, (_, number) => number === Math.floor(pages / 2))
    })
    const inbox = open(at.file)
    expect(inbox.rangesOf(store)).toMatchObject([{ next: 20 }])
    expect(() => inbox.notesFrom(1)).toThrow(MustReopenError)
    expect(readDamageReason(at.file)).not.toBe(null)
    inbox.close()
    const reopened = open(at.file)
    expect(reopened.recovery).not.toBe(null)
    reopened.close()
    expect(readDamageReason(at.file)).toBe(null)
  })
})

describe('the positions of an inbox', () => {
  const damage = (sql: string) => (file: string) => {
    const db = new Database(file)
    db.exec(sql)
    db.close()
  }
  it.each([
    'UPDATE ranges SET next = 21',
    'UPDATE ranges SET "end" = 30',
    'UPDATE notePositions SET next = 6',
    'DELETE FROM ranges',
    'DELETE FROM seal',
  ])('are trusted neither by the bridge nor by the gateway after damage: %s', sql => {
    using at = withDamaged(damage(sql))
    expect(readInboxProgress(at.file, store)).toBe(null)
    const ranges = openInboxReader(at.file)
    expect(ranges(store).pendingRanges).toBe(null)
    ranges.close()
    const inbox = open(at.file)
    expect(inbox.recovery).toMatchObject({ reason: expect.stringContaining('positions') })
    expect(inbox.rangesOf(store)).toEqual([])
    inbox.close()
  })

  it('are trusted when intact, and in an inbox from before there were checksums', () => {
    using at = withDamaged(() => {})
    expect(readInboxProgress(at.file, store)).toMatchObject({ sequence: 19, noteSequence: 4 })
    rmSync(at.file)
    const old = new Database(at.file)
    prepareDatabase(old, INBOX_APPLICATION_ID, inboxMigrations.slice(0, 1))
    old.exec(
      `INSERT INTO ranges VALUES (1, x'${store.toString('hex')}', 7, NULL, 't', 6, NULL, '')`,
    )
    old.close()
    expect(readInboxProgress(at.file, store)).toMatchObject({ sequence: 6 })
    const inbox = open(at.file)
    expect(inbox.recovery).toBe(null)
    expect(inbox.rangesOf(store)).toMatchObject([{ next: 7 }])
    inbox.moveRange({ id: 1, next: 9 })
    inbox.close()
    expect(readInboxProgress(at.file, store)).toMatchObject({ sequence: 8 })
  })
})
