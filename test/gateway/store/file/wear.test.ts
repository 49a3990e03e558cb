import { randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openWearMeter } from '../../../../gateway/store/file/wear.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { reading, temporary } from '../fixture.ts'

const PAGE = 4096

/** A database that is neither outbox nor inbox, and that makes checkpoints only on command. */
function openPlain(file: string) {
  const db = new Database(file)
  for (const pragma of ['journal_mode = WAL', 'synchronous = FULL', 'wal_autocheckpoint = 0']) {
    db.pragma(pragma)
  }
  db.exec('CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)')
  db.exec('INSERT INTO t VALUES (1, zeroblob(100))')
  return db
}

describe('the wear of a store', () => {
  it('is the blocks of the log that a commit touches, and each page to be moved, once', () => {
    using at = temporary()
    const db = openPlain(at.file('s.db'))
    db.pragma('wal_checkpoint(TRUNCATE)')
    const wear = openWearMeter(db)
    const cost = (work: () => void) => {
      const before = wear.bytes
      work()
      wear.measure()
      return (wear.bytes - before) / PAGE
    }
    const change = () => db.exec('UPDATE t SET b = randomblob(100)')
    // The block of the log's header, the two blocks that the frame touches, and the page that a
    // checkpoint will write.
    expect(cost(change)).toBe(1 + 2 + 1)
    // Only the two blocks of the frame; the page was counted for the next checkpoint already.
    expect(cost(change)).toBe(2)
    expect(cost(() => {})).toBe(0)
    expect(cost(() => db.pragma('wal_checkpoint(PASSIVE)'))).toBe(0)
    expect(cost(change)).toBe(1 + 2 + 1)
    // While a reader is active, SQLite cannot restart the log, but a checkpoint moves the pages of
    // the log into the file.
    const reader = new Database(at.file('s.db'))
    reader.exec('BEGIN; SELECT * FROM t')
    expect(cost(() => db.pragma('wal_checkpoint(PASSIVE)'))).toBe(0)
    expect(cost(change)).toBe(2 + 1)
    reader.close()
    db.pragma('wal_checkpoint(TRUNCATE)')
    expect(cost(() => {})).toBe(0)
    expect(cost(change)).toBe(1 + 2 + 1)
    wear.close()
    db.close()
  })

  it('counts correctly when the log restarts between two measurements', () => {
    using at = temporary()
    const db = openPlain(at.file('s.db'))
    const wear = openWearMeter(db)
    for (let n = 0; n < 20; n++) db.exec('UPDATE t SET b = randomblob(100)')
    wear.measure()
    const before = wear.bytes
    db.pragma('wal_checkpoint(PASSIVE)')
    for (let n = 0; n < 3; n++) db.exec('UPDATE t SET b = randomblob(100)')
    wear.measure()
    expect((wear.bytes - before) / PAGE).toBe(1 + 4 + 1)
    wear.close()
    db.close()
  })

  it.skipIf(process.platform !== 'linux')(
    "agrees with the operating system's count",
    ({ skip }) => {
      using at = temporary()
      const outbox = openOutbox({ file: at.file('outbox.db'), gateway: 'g' })
      const bySystem = () => Number(/^write_bytes: (\d+)/m.exec(read('/proc/self/io'))?.[1])
      const [before, beforeBySystem] = [outbox.wear.bytes, bySystem()]
      let moved = 0
      for (let commit = 0; commit < 200; commit++) {
        const deadLetter = { reason: '', place: '', topic: '', payload: randomBytes(20_000) }
        const readings = Array.from({ length: 40 }, (_, n) => reading(`z${n % 7}`, commit * 40 + n))
        outbox.commit({ readings, deadLetters: [{ at: 1, deadLetter }] })
        outbox.wear.measure()
        moved = Math.max(moved, statSync(at.file('outbox.db')).size)
      }
      outbox.close()
      const system = bySystem() - beforeBySystem
      // Where the file system is in memory, the system counts no disk writes.
      if (!(system > 0)) skip()
      expect(moved).toBeGreaterThan(1_000_000)
      expect((outbox.wear.bytes - before) / system).toBeGreaterThan(0.9)
      expect((outbox.wear.bytes - before) / system).toBeLessThan(1.1)
    },
  )
})

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
