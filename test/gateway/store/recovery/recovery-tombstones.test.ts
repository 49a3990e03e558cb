import { readFileSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { bellFile } from '../../../../gateway/store/file/bell.ts'
import { markDamaged } from '../../../../gateway/store/file/damage-mark.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { fill, isFirst, LAST, open, overwrite, withDamaged } from '../file/damaged-file.ts'
import { copyStore, reading, readOutbox, temporary } from '../fixture.ts'

const REST = {
  end: null,
  topic: 't',
  partitions: 6,
  zones: null,
  kind: 'live',
  reason: '',
} as const

it('a salvaged outbox names the previous epoch, although a power cut left an old bell', () => {
  using at = withDamaged(() => {})
  const bell = readFileSync(bellFile(at.file))
  const before = open(at.file)
  before.commit({ readings: [reading('z1'), reading('z0'), reading('z1')] })
  before.close()
  writeFileSync(bellFile(at.file), bell)
  overwrite(at.file, isFirst)
  open(at.file).close()
  const epochs = readOutbox(at.file).notes.filter(({ kind }) => kind === 'epoch')
  const zones = expect.arrayContaining([
    ['z0', 1],
    ['z1', 2],
  ])
  const previous = { epoch: before.epoch, lastSequence: LAST + 3, zones }
  expect(epochs.at(-1)!.content.previous).toEqual(previous)
})

it('a salvaged outbox does not name delivered and deleted events as lost', () => {
  using at = withDamaged(() => {})
  const inboxFile = at.file.replace('outbox', 'inbox')
  const inbox = openInbox({ file: inboxFile, settleMs: 1000 })
  inbox.addRange({ store: at.outbox.store, next: 205, ...REST })
  inbox.close()
  // Salvage finds an older group, from before the missing groups, on an unused page.
  const db = new Database(at.file)
  db.pragma('secure_delete = ON')
  db.exec('DELETE FROM groups WHERE sequence BETWEEN 11 AND 220')
  db.close()
  markDamaged(at.file, 'by a reader')
  const outbox = openOutbox({ file: at.file, gateway: 'gw', inboxFile })
  expect(outbox.recovery).toMatchObject({ salvaged: { lostEvents: 16 } })
  outbox.close()
  const lost = readOutbox(at.file).notes.filter(({ kind }) => kind === 'quarantine')
  expect(lost.map(({ content }) => [content.from, content.to])).toEqual([[205, 220]])
})

describe('a write-ahead log that SQLite restarts', () => {
  /**
   * The state after a power cut while SQLite restarts the log: the database file contains all pages
   * of the log, and the log begins with `bytes` bytes of a new header.
   */
  function restartedLog(bytes: number) {
    const place = temporary()
    const [alive, file] = [place.file('alive.db'), place.file('outbox.db')]
    const outbox = open(alive)
    fill(outbox)
    outbox.space.truncateWal()
    fill(outbox, 5)
    const log = readFileSync(`${alive}-wal`)
    // A FULL checkpoint moves the pages into the database file and does not change the log.
    const db = new Database(alive)
    db.pragma('wal_checkpoint(FULL)')
    db.close()
    copyStore(alive, file)
    const before = readOutbox(alive)
    outbox.commit({ readings: [reading('z0')] })
    readFileSync(`${alive}-wal`).subarray(0, bytes).copy(log)
    outbox.close()
    writeFileSync(`${file}-wal`, log)
    return { file, before, [Symbol.dispose]: place[Symbol.dispose] }
  }

  it.each([32, 20])('is not damaged by a power cut after %i bytes of its header', bytes => {
    using at = restartedLog(bytes)
    const outbox = open(at.file)
    expect(outbox.recovery).toBe(null)
    outbox.close()
    expect(readOutbox(at.file).events).toEqual(at.before.events)
  })
})
