import { statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { CannotStart } from '../../../../config/process/lifetime.ts'
import { openRetention } from './retention-fixture.ts'

const HOUR_MS = 3_600_000
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n)

describe('at a bound', { timeout: 120_000 }, () => {
  it('delivered events are pruned first', () => {
    using setup = openRetention({ bounds: { bytes: 4_194_304 } })
    setup.update(3000)
    expect(setup.fillUp(5000)).toEqual({ accepted: 5000, reason: null })
    expect(statSync(setup.file).size).toBeLessThan(4_400_000)
    expect(setup.tombstones()).toEqual([])
    expect(setup.sequences().at(-1)).toBe(5000)
    expect(setup.sequences()[0]).toBeLessThan(3001)
  })

  it('messages are refused until the bridge has made room, and then accepted', () => {
    using setup = openRetention({ bounds: { bytes: 4_194_304 } })
    const { accepted, reason } = setup.fillUp(5000)
    expect(reason).toBe('outbox.bounds.bytes = 4194304 is reached')
    expect(accepted).toBeGreaterThan(1500)
    expect(setup.retention.refusalReason).toBe(reason)
    expect(setup.steps()).toBe(0)
    expect(setup.sequences()).toEqual(numbers(1, accepted))
    expect(setup.retention.admit()).toBe(reason)
    setup.update(1000)
    setup.steps()
    expect(setup.retention.refusalReason).toBe(null)
    expect(setup.fillUp(100).accepted).toBe(100)
    expect(setup.sequences().at(-1)).toBe(accepted + 100)
    expect(setup.tombstones()).toEqual([])
  })

  it('messages are refused until usage is clearly below the bound', () => {
    using setup = openRetention({ bounds: { bytes: 4_194_304 } })
    const { accepted } = setup.fillUp(5000)
    setup.update(20)
    setup.steps()
    expect(setup.sequences()).toEqual(numbers(20, accepted))
    expect(setup.retention.admit()).toMatch('is reached')
  })

  it('drop-oldest accepts messages, and a tombstone names each dropped event', () => {
    using setup = openRetention({ bounds: { bytes: 4_194_304 }, whenFull: 'drop-oldest' })
    expect(setup.fillUp(5000)).toEqual({ accepted: 5000, reason: null })
    expect(statSync(setup.file).size).toBeLessThan(4_600_000)
    const [first] = setup.sequences()
    const tombstones = setup.tombstones()
    expect(tombstones.length).toBeGreaterThan(2)
    expect(tombstones.map(({ from }) => from)).toEqual([
      1,
      ...tombstones.slice(0, -1).map(({ to }) => (to as number) + 1),
    ])
    expect(tombstones.at(-1)!.to).toBe(first! - 1)
    for (const { epoch, from, to, count, zones, reason } of tombstones as never[]) {
      expect(epoch).toBe(setup.outbox.epoch)
      expect(count).toBe(to - from + 1)
      expect(zones).toEqual([['b', from, count]])
      expect(reason).toBe('outbox.bounds.bytes = 4194304 is reached')
    }
  })

  it('the number of events counts, without gaps', () => {
    using setup = openRetention()
    setup.fill(10)
    setup.close()
    const db = new Database(setup.file)
    db.exec('DELETE FROM groups WHERE sequence BETWEEN 3 AND 8')
    db.close()
    using reopened = openRetention({ bounds: { events: 20 } }, setup.directory)
    expect(reopened.fillUp(100).accepted).toBe(16)
    expect(reopened.retention.refusalReason).toBe('outbox.bounds.events = 20 is reached')
  })

  it('the age of the oldest event counts, but only by a trusted clock', () => {
    using setup = openRetention({ bounds: { hours: 5 }, whenFull: 'drop-oldest' })
    setup.fill(2)
    setup.update(null)
    setup.time.passedMs = 3 * HOUR_MS
    setup.fill(2)
    setup.update(null)
    setup.time.passedMs = 6 * HOUR_MS
    setup.update(null, { clock: 'UNSYNCED' })
    setup.steps()
    expect(setup.sequences()).toEqual([1, 2, 3, 4])
    setup.update(null)
    setup.steps()
    expect(setup.sequences()).toEqual([3, 4])
    expect(setup.tombstones()).toMatchObject([{ from: 1, to: 2, count: 2 }])
    setup.time.passedMs = 60 * HOUR_MS
    setup.update(null)
    setup.steps()
    expect(setup.sequences()).toEqual([4])
    expect(setup.retention.admit()).toBe(null)
  })

  it('messages are refused while an event is too old and the policy is refuse', () => {
    using setup = openRetention({ bounds: { hours: 5 } })
    setup.fill(2)
    setup.update(null)
    setup.time.passedMs = 6 * HOUR_MS
    setup.update(null)
    expect(setup.steps()).toBe(0)
    expect(setup.retention.admit()).toBe('outbox.bounds.hours = 5 is reached')
    setup.update(3)
    setup.steps()
    expect(setup.retention.admit()).toBe(null)
  })

  it('messages are refused while other programs fill the disk', () => {
    const { bounds } = { bounds: { freeDiskBytes: 1 } }
    using setup = openRetention({ bounds })
    expect(setup.retention.admit()).toBe(null)
    const { measure } = setup.outbox.space
    Object.assign(setup.outbox.space, { measure: () => ({ ...measure(), freeDiskBytes: 0 }) })
    setup.steps()
    expect(setup.retention.admit()).toBe('outbox.bounds.freeDiskBytes = 1 is reached')
    Object.assign(setup.outbox.space, { measure })
    setup.steps()
    expect(setup.retention.admit()).toBe(null)
  })

  it('a bound that this disk cannot keep is refused at start, and nothing is deleted', () => {
    using setup = openRetention()
    setup.fill(3)
    setup.close()
    const start = () => openRetention({ bounds: { freeDiskBytes: 1e15 } }, setup.directory)
    expect(start).toThrow(CannotStart)
    expect(start).toThrow(
      /^outbox.bounds.freeDiskBytes = 1000000000000000, but the disk of .*Choose less than/,
    )
    expect(setup.sequences()).toEqual([1, 2, 3])
  })
})
