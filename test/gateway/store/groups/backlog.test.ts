import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { createBacklogMeter } from '../../../../gateway/store/groups/backlog.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { reading, temporary } from '../fixture.ts'

const NOW = 1_700_000_100_000

/** Groups of 3, 2 and 4 events, received 90, 60 and 10 seconds ago. */
function startOutbox() {
  const place = temporary()
  const file = place.file('outbox.db')
  const outbox = openOutbox({ file, gateway: 'gw' })
  for (const [count, ageMs] of [
    [3, 90_000],
    [2, 60_000],
    [4, 10_000],
  ] as const) {
    const event = reading('z', 0, { receivedAt: NOW - ageMs })
    outbox.commit({ readings: new Array(count).fill(event), deadLetters: [] })
  }
  const db = new Database(file)
  const bytes = db
    .prepare('SELECT length(header) + length(body) FROM groups ORDER BY sequence')
    .pluck()
    .all() as number[]
  const close = () => {
    db.close()
    outbox.close()
    place[Symbol.dispose]()
  }
  return { outbox, db, bytes, backlog: createBacklogMeter(db), [Symbol.dispose]: close }
}

const empty = { events: 0, bytes: 0, oldestAgeMs: 0 }
const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)

describe('the backlog', () => {
  it('is measured without sorting or scanning all groups', () => {
    using at = startOutbox()
    const queries: string[] = []
    const prepare = (sql: string) => {
      queries.push(sql)
      return at.db.prepare(sql)
    }
    createBacklogMeter({ prepare } as Database.Database)([{ next: 2, end: null }], NOW)
    expect(queries.length).toBeGreaterThan(3)
    for (const sql of queries.filter(query => query.includes('FROM groups'))) {
      const filled = sql.replace(/\?|@\w+/g, '1')
      const plan = at.db.prepare(`EXPLAIN QUERY PLAN ${filled}`).all() as { detail: string }[]
      const details = plan.map(({ detail }) => detail).join('; ')
      expect(details, sql).not.toContain('TEMP B-TREE')
      // A scan in key order with LIMIT 1 or min() reads one row.
      if (details.includes('SCAN')) expect(sql).toMatch(/LIMIT 1|min\(sequence\)/)
    }
  })

  it('is nothing in an outbox without events', () => {
    using place = temporary()
    const outbox = openOutbox({ file: place.file('outbox.db'), gateway: 'gw' })
    expect(outbox.backlog(null, NOW)).toEqual(empty)
    expect(outbox.backlog([{ next: 1, end: null }], NOW)).toEqual(empty)
    expect(outbox.bytesSoFar).toBe(0)
    outbox.close()
  })

  it('is everything while the undelivered ranges are unknown', () => {
    using at = startOutbox()
    const all = { events: 9, bytes: sum(at.bytes), oldestAgeMs: 90_000 }
    expect(at.backlog(null, NOW)).toEqual(all)
    expect(at.outbox.backlog(null, NOW)).toEqual(all)
    expect(at.backlog([{ next: 1, end: null }], NOW)).toEqual(all)
    expect(at.outbox.bytesSoFar).toBe(sum(at.bytes))
  })

  it.each([
    [4, 6, [1, 2], 60_000],
    [5, 5, [2], 60_000],
    [6, 4, [2], 10_000],
    [9, 1, [], 10_000],
    [10, 0, [], 0],
    [99, 0, [], 0],
  ])('from event %i on is %i events', (next, events, groups, oldestAgeMs) => {
    using at = startOutbox()
    const bytes = sum(groups.map(group => at.bytes[group]!))
    expect(at.backlog([{ next, end: null }], NOW)).toEqual({ events, bytes, oldestAgeMs })
  })

  it('adds up ranges, and closed ranges up to their end', () => {
    using at = startOutbox()
    const ranges = [
      { next: 6, end: null },
      { next: 1, end: 3 },
      { next: 5, end: 4 },
    ]
    expect(at.backlog(ranges, NOW)).toEqual({
      events: 7,
      bytes: at.bytes[0]! + at.bytes[2]!,
      oldestAgeMs: 90_000,
    })
  })

  it('counts a group whose first event is the last of a range', () => {
    using at = startOutbox()
    const bytes = at.bytes[0]! + at.bytes[1]!
    expect(at.backlog([{ next: 1, end: 4 }], NOW)).toMatchObject({ events: 4, bytes })
  })

  it('is as old as its oldest event, when groups before that are deleted or delivered', () => {
    using at = startOutbox()
    at.db.exec('DELETE FROM groups WHERE sequence = 4')
    expect(at.backlog([{ next: 4, end: null }], NOW).oldestAgeMs).toBe(10_000)
    at.db.exec('DELETE FROM groups WHERE sequence = 1')
    expect(at.backlog(null, NOW)).toMatchObject({ events: 4, oldestAgeMs: 10_000 })
  })

  it('has a negative age when the clock went back', () => {
    using at = startOutbox()
    expect(at.backlog(null, NOW - 3_600_000).oldestAgeMs).toBeLessThan(0)
  })
})
