import { statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { createBacklogMeter } from '../../../../gateway/store/groups/backlog.ts'
import { readOutbox } from '../fixture.ts'
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
    at.retention.requestPruning()
    at.steps()
    expect(at.sequences()).toEqual(numbers(7, 10))
    at.see(11)
    at.retention.requestPruning()
    at.steps()
    expect(at.sequences()).toEqual([9, 10])
    expect(at.tombstones()).toEqual([])
  })

  it('is nothing while no inbox says so, or where a range still wants it', () => {
    using at = startKeeping({ keep: nothing })
    at.fill(5, 2)
    at.see(null)
    at.retention.requestPruning()
    at.steps()
    const spans = [
      { next: 4, end: 5 },
      { next: 9, end: 6 },
      { next: 11, end: null },
    ]
    at.retention.update({ pendingRanges: spans, replayFrom: null, nextNote: 1 }, 'SYNCED')
    at.retention.requestPruning()
    at.steps()
    expect(at.sequences()).toEqual(numbers(3, 10))
  })

  it('is kept while it is to be sent once more, but not when there is no room', () => {
    using at = startKeeping({ keep: nothing, bounds: { events: 10 } })
    at.fill(5, 2)
    const spans = [{ next: 11, end: null }]
    at.retention.update({ pendingRanges: spans, replayFrom: 4, nextNote: 1 }, 'SYNCED')
    at.retention.requestPruning()
    at.steps()
    expect(at.sequences()).toEqual(numbers(3, 10))
    expect(at.fillUp(10)).toEqual({ accepted: 10, reason: null })
    expect(at.sequences()[0]).toBeGreaterThan(10)
    expect(at.tombstones()).toEqual([])
  })

  it('is kept up to a number of bytes', () => {
    using at = startKeeping({ keep: { hours: 1000, bytes: 10_500 } })
    at.fill(50)
    at.see(41)
    at.retention.requestPruning()
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
    at.retention.requestPruning()
    at.steps()
    expect(at.sequences()).toEqual(numbers(1, 4))
    at.time.passedMs = 15 * HOUR_MS + 1000
    at.see(5, { clock: 'HOLDOVER' })
    at.retention.requestPruning()
    at.steps()
    expect(at.sequences()).toEqual(numbers(1, 4))
    at.see(5)
    at.retention.requestPruning()
    at.steps()
    // Numbers 3 and 4 were seen after five hours; the last group stays.
    expect(at.sequences()).toEqual([4])
  })

  it('goes in steps that are small, between which everything is as it should be', () => {
    using at = startKeeping({ keep: nothing })
    at.fill(450)
    at.see(451)
    at.retention.requestPruning()
    const left = []
    while (at.retention.step()) left.push(at.sequences().length)
    expect(left.slice(0, 3)).toEqual([250, 50, 1])
  })

  it('includes notes, of which the last one stays', () => {
    using at = startKeeping({ keep: nothing })
    for (const zone of ['a', 'b', 'c']) {
      at.fill(1)
      at.outbox.writeZoneHeads()
      expect(zone).toBeTruthy()
    }
    const notes = () => readOutbox(at.file).notes.map(({ sequence }) => sequence)
    expect(notes()).toEqual([1, 2, 3, 4])
    at.see(null, { nextNote: 3 })
    at.retention.requestPruning()
    at.steps()
    expect(notes()).toEqual([3, 4])
    at.see(null, { nextNote: 5 })
    at.retention.requestPruning()
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
    at.retention.requestPruning()
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
    expect(createBacklogMeter(db)(null, 0).bytes).toBe(before.bytes)
    db.close()
  })
})

describe('room', () => {
  it('comes back: a file that is a fifth empty gets shorter', () => {
    using at = startKeeping({ keep: nothing })
    at.fill(400, 20)
    at.retention.step()
    const { fileBytes } = at.retention.space({ events: 0, bytes: 0, oldestAgeMs: 0 })
    at.see(7001)
    at.retention.requestPruning()
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
