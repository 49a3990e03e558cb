import { statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { CannotStart } from '../../../../config/process/lifetime.ts'
import { startKeeping } from './retention-fixture.ts'

const HOUR_MS = 3_600_000
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n)

describe('at a bound', { timeout: 120_000 }, () => {
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
    expect(at.retention.refusalReason).toBe(reason)
    expect(at.steps()).toBe(0)
    expect(at.sequences()).toEqual(numbers(1, accepted))
    expect(at.retention.admit()).toBe(reason)
    at.see(1000)
    at.steps()
    expect(at.retention.refusalReason).toBe(null)
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
    expect(again.retention.refusalReason).toBe('outbox.bounds.events = 20 is reached')
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
