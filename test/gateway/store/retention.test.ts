import { statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { CannotStart } from '../../../config/lifetime.ts'
import { startBacklog } from '../../../gateway/store/backlog.ts'
import { readOutbox } from './fixture.ts'
import { startKeeping } from './retention-fixture.ts'

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n)
const HOUR_MS = 3_600_000
const nothing = { hours: 0, bytes: 0 }

describe('what is delivered', () => {
  it('goes at a look, but never the last group', () => {
    using at = startKeeping({ keep: nothing })
    at.fill(5, 2)
    at.see(7)
    at.steps()
    expect(at.sequences()).toEqual(numbers(1, 10))
    at.retention.look()
    at.steps()
    expect(at.sequences()).toEqual(numbers(7, 10))
    at.see(11)
    at.retention.look()
    at.steps()
    expect(at.sequences()).toEqual([9, 10])
    expect(at.tombstones()).toEqual([])
  })

  it('is nothing while no inbox says so, or where a range still wants it', () => {
    using at = startKeeping({ keep: nothing })
    at.fill(5, 2)
    at.see(null)
    at.retention.look()
    at.steps()
    const spans = [
      { next: 4, end: 5 },
      { next: 9, end: 6 },
      { next: 11, end: null },
    ]
    at.retention.see({ spans, nextNote: 1 }, 'SYNCED')
    at.retention.look()
    at.steps()
    expect(at.sequences()).toEqual(numbers(3, 10))
  })

  it('is kept up to a number of bytes', () => {
    using at = startKeeping({ keep: { hours: 1000, bytes: 10_500 } })
    at.fill(50)
    at.see(41)
    at.retention.look()
    at.steps()
    const first = at.sequences()[0]!
    expect(41 - first).toBeGreaterThanOrEqual(8)
    expect(41 - first).toBeLessThanOrEqual(10)
    const { keptBytes } = at.retention.space({ events: 10, bytes: 1, oldestAgeMs: 0 })
    expect(keptBytes).toBeLessThanOrEqual(10_500)
    expect(keptBytes).toBeGreaterThan(8000)
  })

  it('is kept for some hours of this run, whatever the clock does', () => {
    using at = startKeeping({ keep: { hours: 10 } })
    at.fill(2, 1, 0)
    at.see(3)
    at.time.passedMs = 5 * HOUR_MS
    at.time.wallMs += 500_000 * HOUR_MS
    at.see(3)
    at.fill(2)
    at.see(5)
    at.retention.look()
    at.steps()
    expect(at.sequences()).toEqual(numbers(1, 4))
    at.time.passedMs = 15 * HOUR_MS + 1000
    at.see(5, { clock: 'HOLDOVER' })
    at.retention.look()
    at.steps()
    expect(at.sequences()).toEqual(numbers(1, 4))
    at.see(5)
    at.retention.look()
    at.steps()
    // Numbers 3 and 4 were seen after five hours; the last group stays.
    expect(at.sequences()).toEqual([4])
  })

  it('goes in steps that are small, between which everything is as it should be', () => {
    using at = startKeeping({ keep: nothing })
    at.fill(450)
    at.see(451)
    at.retention.look()
    const left = []
    while (at.retention.step()) left.push(at.sequences().length)
    expect(left.slice(0, 3)).toEqual([250, 50, 1])
  })

  it('includes notes, of which the last one stays', () => {
    using at = startKeeping({ keep: nothing })
    for (const zone of ['a', 'b', 'c']) {
      at.fill(1)
      at.outbox.beat()
      expect(zone).toBeTruthy()
    }
    const notes = () => readOutbox(at.file).notes.map(({ sequence }) => sequence)
    expect(notes()).toEqual([1, 2, 3, 4])
    at.see(null, { nextNote: 3 })
    at.retention.look()
    at.steps()
    expect(notes()).toEqual([3, 4])
    at.see(null, { nextNote: 5 })
    at.retention.look()
    at.steps()
    expect(notes()).toEqual([4])
  })

  it('leaves the totals right, and what the next epoch says of this one', () => {
    using at = startKeeping({ keep: nothing })
    at.fill(6, 3)
    const { bytesSoFar, epoch } = at.outbox
    at.see(13)
    const spans = [{ next: 13, end: null }]
    const before = at.outbox.backlog(spans, 0)
    at.retention.look()
    at.steps()
    expect(at.outbox.backlog(spans, 0)).toEqual(before)
    expect(at.outbox.backlog(null, 0)).toEqual(before)
    expect(at.outbox.backlog([{ next: 2, end: null }], 0)).toEqual(before)
    at.close()
    using again = startKeeping({}, at.place)
    expect(again.outbox.bytesSoFar).toBe(bytesSoFar)
    expect(readOutbox(again.file).notes.at(-1)!.content).toMatchObject({
      firstSequence: 19,
      previous: {
        epoch,
        lastSequence: 18,
        zones: expect.arrayContaining([
          ['b', 12],
          ['a', 6],
        ]),
      },
    })
    const db = new Database(again.file, { readonly: true })
    expect(startBacklog(db)(null, 0).bytes).toBe(before.bytes)
    db.close()
  })
})

describe('at a bound', () => {
  it('what is kept goes first', () => {
    using at = startKeeping({ bounds: { bytes: 4_194_304 } })
    at.see(3000)
    expect(at.fillUp(5000)).toEqual({ accepted: 5000, reason: null })
    expect(statSync(at.file).size).toBeLessThan(4_400_000)
    expect(at.tombstones()).toEqual([])
    expect(at.sequences().at(-1)).toBe(5000)
    expect(at.sequences()[0]).toBeLessThan(3001)
  })

  it('messages are refused until the bridge made room, and accepted again by themselves', () => {
    using at = startKeeping({ bounds: { bytes: 4_194_304 } })
    const { accepted, reason } = at.fillUp(5000)
    expect(reason).toBe('outbox.bounds.bytes = 4194304 is reached')
    expect(accepted).toBeGreaterThan(1500)
    expect(at.retention.refuses).toBe(reason)
    expect(at.steps()).toBe(0)
    expect(at.sequences()).toEqual(numbers(1, accepted))
    expect(at.retention.admit()).toBe(reason)
    at.see(1000)
    at.steps()
    expect(at.retention.refuses).toBe(null)
    expect(at.fillUp(100).accepted).toBe(100)
    expect(at.sequences().at(-1)).toBe(accepted + 100)
    expect(at.tombstones()).toEqual([])
  })

  it('it takes more than a little room to accept again', () => {
    using at = startKeeping({ bounds: { bytes: 4_194_304 } })
    const { accepted } = at.fillUp(5000)
    at.see(20)
    at.steps()
    expect(at.sequences()).toEqual(numbers(20, accepted))
    expect(at.retention.admit()).toMatch('is reached')
  })

  it('drop-oldest accepts on, and each event that went stands in a tombstone', () => {
    using at = startKeeping({ bounds: { bytes: 4_194_304 }, whenFull: 'drop-oldest' })
    expect(at.fillUp(5000)).toEqual({ accepted: 5000, reason: null })
    expect(statSync(at.file).size).toBeLessThan(4_600_000)
    const [first] = at.sequences()
    const tombstones = at.tombstones()
    expect(tombstones.length).toBeGreaterThan(2)
    expect(tombstones.map(({ from }) => from)).toEqual([
      1,
      ...tombstones.slice(0, -1).map(({ to }) => (to as number) + 1),
    ])
    expect(tombstones.at(-1)!.to).toBe(first! - 1)
    for (const { epoch, from, to, count, zones, reason } of tombstones as never[]) {
      expect(epoch).toBe(at.outbox.epoch)
      expect(count).toBe(to - from + 1)
      expect(zones).toEqual([['b', from, count]])
      expect(reason).toBe('outbox.bounds.bytes = 4194304 is reached')
    }
  })

  it('a number of events counts as well, holes not', () => {
    using at = startKeeping()
    at.fill(10)
    at.close()
    const db = new Database(at.file)
    db.exec('DELETE FROM groups WHERE sequence BETWEEN 3 AND 8')
    db.close()
    using again = startKeeping({ bounds: { events: 20 } }, at.place)
    expect(again.fillUp(100).accepted).toBe(16)
    expect(again.retention.refuses).toBe('outbox.bounds.events = 20 is reached')
  })

  it('so does how long the oldest waits, but only by a clock that is trusted', () => {
    using at = startKeeping({ bounds: { hours: 5 }, whenFull: 'drop-oldest' })
    at.fill(2)
    at.see(null)
    at.time.passedMs = 3 * HOUR_MS
    at.fill(2)
    at.see(null)
    at.time.passedMs = 6 * HOUR_MS
    at.see(null, { clock: 'UNSYNCED' })
    at.steps()
    expect(at.sequences()).toEqual([1, 2, 3, 4])
    at.see(null)
    at.steps()
    expect(at.sequences()).toEqual([3, 4])
    expect(at.tombstones()).toMatchObject([{ from: 1, to: 2, count: 2 }])
    at.time.passedMs = 60 * HOUR_MS
    at.see(null)
    at.steps()
    expect(at.sequences()).toEqual([4])
    expect(at.retention.admit()).toBe(null)
  })

  it('what waits too long keeps new messages out where the policy is to refuse', () => {
    using at = startKeeping({ bounds: { hours: 5 } })
    at.fill(2)
    at.see(null)
    at.time.passedMs = 6 * HOUR_MS
    at.see(null)
    expect(at.steps()).toBe(0)
    expect(at.retention.admit()).toBe('outbox.bounds.hours = 5 is reached')
    at.see(3)
    at.steps()
    expect(at.retention.admit()).toBe(null)
  })

  it('a disk that others fill keeps messages out, too', () => {
    const { bounds } = { bounds: { freeDiskBytes: 1 } }
    using at = startKeeping({ bounds })
    expect(at.retention.admit()).toBe(null)
    const { measure } = at.outbox.space
    Object.assign(at.outbox.space, { measure: () => ({ ...measure(), freeDiskBytes: 0 }) })
    at.steps()
    expect(at.retention.admit()).toBe('outbox.bounds.freeDiskBytes = 1 is reached')
    Object.assign(at.outbox.space, { measure })
    at.steps()
    expect(at.retention.admit()).toBe(null)
  })

  it('one that this disk cannot keep is refused at start, and nothing is deleted', () => {
    using at = startKeeping()
    at.fill(3)
    at.close()
    const start = () => startKeeping({ bounds: { freeDiskBytes: 1e15 } }, at.place)
    expect(start).toThrow(CannotStart)
    expect(start).toThrow(/^outbox.bounds.freeDiskBytes = 1000000000000000: the disk of .*Choose/)
    expect(at.sequences()).toEqual([1, 2, 3])
  })
})

describe('room', () => {
  it('comes back: a file that is a fifth empty gets shorter', () => {
    using at = startKeeping({ keep: nothing })
    at.fill(400, 20)
    at.retention.step()
    const { fileBytes } = at.retention.space({ events: 0, bytes: 0, oldestAgeMs: 0 })
    at.see(7001)
    at.retention.look()
    at.steps()
    const db = new Database(at.file)
    const [pages, free] = ['page_count', 'freelist_count'].map(
      name => db.pragma(name, { simple: true }) as number,
    )
    db.close()
    expect(statSync(at.file).size).toBeLessThan(fileBytes / 3)
    expect(free!).toBeLessThanOrEqual(Math.max(256, pages! / 5))
    expect(at.sequences()).toEqual(numbers(7001, 8000))
  })

  it('comes back from a long WAL as soon as nobody reads', () => {
    using at = startKeeping()
    const reader = new Database(at.file, { readonly: true })
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM groups').get()
    at.fill(60, 500)
    const walBytes = () => statSync(`${at.file}-wal`).size
    expect(walBytes()).toBeGreaterThan(17_000_000)
    at.steps()
    expect(walBytes()).toBeGreaterThan(17_000_000)
    reader.exec('COMMIT')
    reader.close()
    at.steps()
    expect(walBytes()).toBe(0)
    expect(at.outbox.lastSequence).toBe(30_000)
  })
})
