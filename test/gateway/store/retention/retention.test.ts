import { statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { createBacklogMeter } from '../../../../gateway/store/groups/backlog.ts'
import { readOutbox } from '../fixture.ts'
import { openRetention } from './retention-fixture.ts'

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n)
const HOUR_MS = 3_600_000
const nothing = { hours: 0, bytes: 0 }

describe('a delivered event', () => {
  it('is pruned on request, except in the last group', () => {
    using setup = openRetention({ keep: nothing })
    setup.fill(5, 2)
    setup.update(7)
    setup.steps()
    expect(setup.sequences()).toEqual(numbers(1, 10))
    setup.retention.requestPruning()
    setup.steps()
    expect(setup.sequences()).toEqual(numbers(7, 10))
    setup.update(11)
    setup.retention.requestPruning()
    setup.steps()
    expect(setup.sequences()).toEqual([9, 10])
    expect(setup.tombstones()).toEqual([])
  })

  it('is none while no inbox says so, or while a range still needs it', () => {
    using setup = openRetention({ keep: nothing })
    setup.fill(5, 2)
    setup.update(null)
    setup.retention.requestPruning()
    setup.steps()
    const spans = [
      { next: 4, end: 5 },
      { next: 9, end: 6 },
      { next: 11, end: null },
    ]
    setup.retention.update({ pendingRanges: spans, replayFrom: null, nextNote: 1 }, 'SYNCED')
    setup.retention.requestPruning()
    setup.steps()
    expect(setup.sequences()).toEqual(numbers(3, 10))
  })

  it('is kept for a replay, but not when a bound is reached', () => {
    using setup = openRetention({ keep: nothing, bounds: { events: 10 } })
    setup.fill(5, 2)
    const spans = [{ next: 11, end: null }]
    setup.retention.update({ pendingRanges: spans, replayFrom: 4, nextNote: 1 }, 'SYNCED')
    setup.retention.requestPruning()
    setup.steps()
    expect(setup.sequences()).toEqual(numbers(3, 10))
    expect(setup.fillUp(10)).toEqual({ accepted: 10, reason: null })
    expect(setup.sequences()[0]).toBeGreaterThan(10)
    expect(setup.tombstones()).toEqual([])
  })

  it('is kept up to a number of bytes', () => {
    using setup = openRetention({ keep: { hours: 1000, bytes: 10_500 } })
    setup.fill(50)
    setup.update(41)
    setup.retention.requestPruning()
    setup.steps()
    const first = setup.sequences()[0]!
    expect(41 - first).toBeGreaterThanOrEqual(8)
    expect(41 - first).toBeLessThanOrEqual(10)
    const { keptBytes } = setup.retention.space({ events: 10, bytes: 1, oldestAgeMs: 0 })
    expect(keptBytes).toBeLessThanOrEqual(10_500)
    expect(keptBytes).toBeGreaterThan(8000)
  })

  it('is kept for some hours of this run, whatever the clock shows', () => {
    using setup = openRetention({ keep: { hours: 10 } })
    setup.fill(2, 1, 0)
    setup.update(3)
    setup.time.passedMs = 5 * HOUR_MS
    setup.time.wallMs += 500_000 * HOUR_MS
    setup.update(3)
    setup.fill(2)
    setup.update(5)
    setup.retention.requestPruning()
    setup.steps()
    expect(setup.sequences()).toEqual(numbers(1, 4))
    setup.time.passedMs = 15 * HOUR_MS + 1000
    setup.update(5, { clock: 'HOLDOVER' })
    setup.retention.requestPruning()
    setup.steps()
    expect(setup.sequences()).toEqual(numbers(1, 4))
    setup.update(5)
    setup.retention.requestPruning()
    setup.steps()
    // Sequences 3 and 4 were stored after five hours. Retention never deletes the last group.
    expect(setup.sequences()).toEqual([4])
  })

  it('is pruned in small steps, after each of which the outbox is consistent', () => {
    using setup = openRetention({ keep: nothing })
    setup.fill(450)
    setup.update(451)
    setup.retention.requestPruning()
    const left = []
    while (setup.retention.step()) left.push(setup.sequences().length)
    expect(left.slice(0, 3)).toEqual([250, 50, 1])
  })

  it('is pruned with delivered notes, of which the last one stays', () => {
    using setup = openRetention({ keep: nothing })
    for (const zone of ['a', 'b', 'c']) {
      setup.fill(1)
      setup.outbox.writeZoneHeads()
      expect(zone).toBeTruthy()
    }
    const notes = () => readOutbox(setup.file).notes.map(({ sequence }) => sequence)
    expect(notes()).toEqual([1, 2, 3, 4])
    setup.update(null, { nextNote: 3 })
    setup.retention.requestPruning()
    setup.steps()
    expect(notes()).toEqual([3, 4])
    setup.update(null, { nextNote: 5 })
    setup.retention.requestPruning()
    setup.steps()
    expect(notes()).toEqual([4])
  })

  it('is pruned without changing the totals or the zone heads of the next epoch', () => {
    using setup = openRetention({ keep: nothing })
    setup.fill(6, 3)
    const { bytesSoFar, epoch } = setup.outbox
    setup.update(13)
    const spans = [{ next: 13, end: null }]
    const before = setup.outbox.backlog(spans, 0)
    setup.retention.requestPruning()
    setup.steps()
    expect(setup.outbox.backlog(spans, 0)).toEqual(before)
    expect(setup.outbox.backlog(null, 0)).toEqual(before)
    expect(setup.outbox.backlog([{ next: 2, end: null }], 0)).toEqual(before)
    setup.close()
    using reopened = openRetention({}, setup.directory)
    expect(reopened.outbox.bytesSoFar).toBe(bytesSoFar)
    expect(readOutbox(reopened.file).notes.at(-1)!.content).toMatchObject({
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
    const db = new Database(reopened.file, { readonly: true })
    expect(createBacklogMeter(db)(null, 0).bytes).toBe(before.bytes)
    db.close()
  })
})

describe('free space', () => {
  it('is returned to the disk: a file that is a fifth empty gets shorter', () => {
    using setup = openRetention({ keep: nothing })
    setup.fill(400, 20)
    setup.retention.step()
    const { fileBytes } = setup.retention.space({ events: 0, bytes: 0, oldestAgeMs: 0 })
    setup.update(7001)
    setup.retention.requestPruning()
    setup.steps()
    const db = new Database(setup.file)
    const [pages, free] = ['page_count', 'freelist_count'].map(
      name => db.pragma(name, { simple: true }) as number,
    )
    db.close()
    expect(statSync(setup.file).size).toBeLessThan(fileBytes / 3)
    expect(free!).toBeLessThanOrEqual(Math.max(256, pages! / 5))
    expect(setup.sequences()).toEqual(numbers(7001, 8000))
  })

  it('is returned from a long WAL as soon as no reader holds it', () => {
    using setup = openRetention()
    const reader = new Database(setup.file, { readonly: true })
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM groups').get()
    setup.fill(60, 500)
    const walBytes = () => statSync(`${setup.file}-wal`).size
    expect(walBytes()).toBeGreaterThan(17_000_000)
    setup.steps()
    expect(walBytes()).toBeGreaterThan(17_000_000)
    reader.exec('COMMIT')
    reader.close()
    setup.steps()
    expect(walBytes()).toBe(0)
    expect(setup.outbox.lastSequence).toBe(30_000)
  })
})
