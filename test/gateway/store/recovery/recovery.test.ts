import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { markDamaged, readDamageReason } from '../../../../gateway/store/file/damage-mark.ts'
import { setAsideFilesOf } from '../../../../gateway/store/file/damaged-files.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import {
  fill,
  flip,
  GROUPS,
  isFirst,
  isInner,
  isLeaf,
  LAST,
  open,
  overwrite,
  PER_GROUP,
  patch,
  upTo,
  withDamaged,
} from '../file/damaged-file.ts'
import { copyStore, reading, readOutbox, temporary } from '../fixture.ts'

type Span = { from: number; to: number }
const sorted = (numbers: number[]) => numbers.sort((a, b) => a - b)
const numbersIn = (spans: Span[]) => spans.flatMap(({ from, to }) => upTo(from, to))
const contentsOf = (file: string, kind: string) =>
  readOutbox(file)
    .notes.filter(note => note.kind === kind)
    .map(({ content }) => content)

describe('an outbox that does not open', () => {
  const damages: [string, (file: string) => void][] = [
    ['its first page is gone', file => void overwrite(file, isFirst)],
    ['its magic is damaged', file => flip(file, 3)],
    ['its mark is damaged', file => flip(file, 70)],
    ['its version is damaged', file => flip(file, 61)],
    ['its version is 0', file => patch(file, 60, Buffer.alloc(4))],
    ['its write version is damaged', file => flip(file, 18)],
    ['its read version is damaged', file => flip(file, 19)],
    ['its vacuum is turned off', file => patch(file, 64, Buffer.alloc(4))],
    ['its page size is damaged', file => flip(file, 16)],
    ['all inner pages of its trees are gone', file => void overwrite(file, isInner)],
  ]

  it.each(damages)('is rebuilt with everything in it: %s', (_, damage) => {
    using at = withDamaged(damage)
    const damaged = readFileSync(at.file)
    const outbox = open(at.file)
    expect(outbox.recovery).toMatchObject({
      salvaged: { groups: GROUPS, events: LAST, lostEvents: 0 },
    })
    expect(outbox.store).toEqual(at.outbox.store)
    expect(outbox.lastSequence).toBe(LAST)
    outbox.commit({ readings: [reading('z0')], deadLetters: [] })
    outbox.close()
    const after = readOutbox(at.file)
    expect(after.events.slice(0, LAST)).toEqual(at.before.events)
    expect(after.events[LAST]).toMatchObject({ sequence: LAST + 1, zoneSequence: 1 })
    expect(after.notes.slice(0, at.before.notes.length)).toEqual(at.before.notes)
    const [salvage, epoch] = after.notes.slice(at.before.notes.length)
    const [aside] = setAsideFilesOf(at.file)
    expect(salvage).toMatchObject({ kind: 'salvage', content: { file: basename(aside!.file) } })
    expect(epoch).toMatchObject({ kind: 'epoch', content: { firstSequence: LAST + 1 } })
    const { previous } = epoch!.content as { previous: { zones: [string, number][] } }
    expect(previous).toMatchObject({ epoch: at.outbox.epoch, lastSequence: LAST })
    const heads = [...'012'].map((zone, at) => [`z${zone}`, at ? 90 : 120] as const)
    expect(new Map(previous.zones)).toEqual(new Map(heads))
    expect(outbox.recovery!.file).toBe(aside!.file)
    expect(readFileSync(aside!.file).equals(damaged)).toBe(true)
    expect(readDamageReason(at.file)).toBe(null)
    const reopened = open(at.file)
    expect(reopened.recovery).toBe(null)
    reopened.close()
  })

  it('names each range of events and each note that cannot be read', () => {
    let leaves = 0
    using at = withDamaged(file => {
      overwrite(file, isFirst)
      leaves = overwrite(file, page => isLeaf(page) && leaves++ % 2 === 0)
    })
    open(at.file).close()
    const { events, notes } = readOutbox(at.file)
    const lost = contentsOf(at.file, 'quarantine') as Span[]
    expect(lost.length).toBeGreaterThan(2)
    const kept = events.map(({ sequence }) => sequence)
    expect(sorted([...kept, ...numbersIn(lost)])).toEqual(upTo(1, LAST))
    for (const event of events) expect(event).toEqual(at.before.events[event.sequence - 1])
    const file = expect.stringMatching(/^outbox.db.damaged-\d{8}T\d{9}Z$/)
    for (const events of lost) expect(events).toMatchObject({ reason: expect.any(String), file })
    const [salvage] = contentsOf(at.file, 'salvage') as { lostEvents: number; lostNotes: Span[] }[]
    expect(salvage!.lostEvents).toBe(numbersIn(lost).length)
    const count = at.before.notes.length
    const still = notes.map(({ sequence }) => sequence).filter(sequence => sequence <= count)
    expect(sorted([...still, ...numbersIn(salvage!.lostNotes)])).toEqual(upTo(1, count))
  })

  it('names the zones of a group whose body is damaged', () => {
    using at = withDamaged(file => {
      const bytes = readFileSync(file)
      using db = disposable(new Database(file))
      const select = db.prepare('SELECT body FROM groups WHERE sequence = ?').pluck()
      const body = select.get(1 + 12 * PER_GROUP) as Buffer
      // Search for a byte sequence that is stored on a single page.
      const offsets = upTo(1, 9).map(tenth =>
        bytes.indexOf(body.subarray(tenth * 600).subarray(0, 32)),
      )
      flip(file, Math.max(...offsets))
      overwrite(file, isFirst)
    })
    open(at.file).close()
    expect(contentsOf(at.file, 'quarantine')).toMatchObject([
      {
        ...{ from: 121, to: 130, epoch: at.outbox.epoch, reason: 'body checksum differs' },
        zones: [
          { zone: 'z0', first: 49, count: 4 },
          { zone: 'z1', first: 37, count: 3 },
          { zone: 'z2', first: 37, count: 3 },
        ],
      },
    ])
  })

  it('continues after the numbers in the bell when nothing can be read', () => {
    using at = withDamaged(file => void overwrite(file, () => true))
    const outbox = open(at.file)
    expect([outbox.store, outbox.lastSequence]).toEqual([at.outbox.store, LAST])
    outbox.close()
    const { events, notes } = readOutbox(at.file)
    expect(events).toEqual([])
    expect(notes[0]!.sequence).toBe(at.before.notes.length + 1)
    expect(contentsOf(at.file, 'quarantine')).toMatchObject([{ from: 1, to: LAST }])
    expect(contentsOf(at.file, 'hole')).toEqual([])
  })

  it('is salvaged when the file is truncated', () => {
    using at = withDamaged(file => writeFileSync(file, readFileSync(file).subarray(0, 20 * 4096)))
    const outbox = open(at.file)
    expect(outbox.recovery).toMatchObject({ salvaged: { groups: expect.any(Number) } })
    outbox.close()
    const kept = readOutbox(at.file).events.map(({ sequence }) => sequence)
    const lost = contentsOf(at.file, 'quarantine') as Span[]
    expect(kept.length).toBeGreaterThan(20)
    expect(sorted([...kept, ...numbersIn(lost)])).toEqual(upTo(1, LAST))
  })

  it('is kept in at most two sets of files, and the newest set is never removed', () => {
    using at = withDamaged(() => {})
    const seen: string[] = []
    for (let time = 0; time < 4; time++) {
      overwrite(at.file, isFirst)
      open(at.file).close()
      seen.unshift(setAsideFilesOf(at.file)[0]!.file)
      expect(setAsideFilesOf(at.file).map(({ file }) => file)).toEqual(seen.slice(0, 2))
    }
    expect(readOutbox(at.file).events).toEqual(at.before.events)
    expect(contentsOf(at.file, 'quarantine')).toEqual([])
  })
})

describe('an outbox that is marked as damaged', () => {
  it('is rebuilt at the next start, once', () => {
    using at = withDamaged(file => markDamaged(file, 'by a reader'))
    expect(readDamageReason(at.file)).toBe('by a reader')
    const outbox = open(at.file)
    expect(outbox.recovery).toMatchObject({ reason: 'by a reader', salvaged: { lostEvents: 0 } })
    outbox.close()
    expect(at.names()).toEqual([
      'outbox.db',
      'outbox.db.bell',
      basename(outbox.recovery!.file),
      'outbox.db.lock',
    ])
    expect(readOutbox(at.file).events).toEqual(at.before.events)
  })

  it('is left alone when the mark names another file', () => {
    using at = withDamaged(file => {
      markDamaged(file, 'by a reader')
      renameSync(file, `${file}.old`)
      copyFileSync(`${file}.old`, file)
    })
    expect(readDamageReason(at.file)).toBe(null)
    const outbox = open(at.file)
    expect(outbox.recovery).toBe(null)
    outbox.close()
    expect(at.names()).not.toContain('outbox.db.damaged')
  })
})

describe('a write-ahead log', () => {
  /** An outbox in the state that a kill leaves, with most rows in the write-ahead log. */
  function killed(damage: (wal: string) => void) {
    const place = temporary()
    const outbox = open(place.file('alive.db'))
    fill(outbox, 20)
    const file = place.file('outbox.db')
    copyStore(place.file('alive.db'), file)
    const before = readOutbox(place.file('alive.db'))
    outbox.close()
    damage(`${file}-wal`)
    return { file, before, [Symbol.dispose]: place[Symbol.dispose] }
  }
  const middle = (wal: string) => 4120 * Math.floor(readFileSync(wal).length / 4120 / 2)

  it.each([
    ['a frame in its middle', (wal: string) => flip(wal, 32 + middle(wal) + 2000)],
    ['the header of a frame', (wal: string) => flip(wal, 32 + middle(wal) + 17)],
    ['its own header', (wal: string) => flip(wal, 17)],
    ['the salt of its first frame', (wal: string) => flip(wal, 32 + 9)],
  ])('loses at most one page when one bit flips in %s', (_, damage) => {
    using at = killed(damage)
    const outbox = open(at.file)
    expect(outbox.recovery).toMatchObject({ reason: 'the write-ahead log is damaged' })
    outbox.close()
    const kept = readOutbox(at.file).events
    for (const event of kept) expect(event).toEqual(at.before.events[event.sequence - 1])
    const lost = numbersIn(contentsOf(at.file, 'quarantine') as Span[])
    expect(sorted([...kept.map(({ sequence }) => sequence), ...lost])).toEqual(upTo(1, 200))
    expect(lost.length).toBeLessThanOrEqual(PER_GROUP)
  })

  it('is not damaged when its last commits were written and not synced', () => {
    using at = killed(wal => {
      const frames = (readFileSync(wal).length - 32) / 4120
      flip(wal, 32 + 4120 * (frames - 2) + 100)
      rmSync(wal.replace('-wal', '.bell'))
    })
    const outbox = open(at.file)
    expect(outbox.recovery).toBe(null)
    outbox.close()
  })

  it('is salvaged, not thrown away, when its database file is missing', () => {
    using at = killed(wal => rmSync(wal.replace('-wal', '')))
    const outbox = open(at.file)
    expect(outbox.recovery).toMatchObject({ salvaged: { events: 200, lostEvents: 0 } })
    outbox.close()
    expect(readOutbox(at.file).events).toEqual(at.before.events)
  })
})

describe('a foreign file', () => {
  const foreign: [string, (file: string) => void][] = [
    ['a text', file => writeFileSync(file, 'not a database, and long enough '.repeat(300))],
    ['a database', file => disposable(new Database(file)).exec('CREATE TABLE x (y)').close()],
    [
      'an outbox of a newer program',
      file => {
        open(file).close()
        rmSync(`${file}.lock`)
        disposable(new Database(file)).exec('PRAGMA user_version = 99').close()
      },
    ],
  ]
  it.each(foreign)('is refused at every start and left untouched: %s', (_, make) => {
    using place = temporary()
    const file = place.file('outbox.db')
    make(file)
    const before = readFileSync(file)
    for (let start = 0; start < 3; start++) {
      expect(() => open(file)).toThrow(`outbox.file = ${file}: `)
      expect(readFileSync(file).equals(before)).toBe(true)
    }
    expect(setAsideFilesOf(file)).toEqual([])
  })

  it('is refused also at the path of one of our files, when it can be read', () => {
    using at = withDamaged(file => {
      rmSync(file)
      disposable(new Database(file)).exec('CREATE TABLE x (y)').close()
    })
    expect(() => openOutbox({ file: at.file, gateway: 'gw' })).toThrow(
      'the file is of another kind',
    )
    expect(setAsideFilesOf(at.file)).toEqual([])
  })
})

function disposable(db: InstanceType<typeof Database>) {
  return Object.assign(db, { [Symbol.dispose]: () => db.close() })
}
