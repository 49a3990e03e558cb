import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { ANY_TIME, openOutboxView } from '../../../../gateway/store/read/outbox-view.ts'
import { reading, temporary } from '../fixture.ts'

const BASE = 1_700_000_000_000

/** An outbox of groups, each a list of [zone, ms after BASE]; more groups than one page holds. */
function startView(groups: [zone: string, ms: number][][]) {
  const place = temporary()
  const file = place.file('outbox.db')
  const outbox = openOutbox({ file, gateway: 'gw' })
  for (const one of groups) {
    outbox.commit({ readings: one.map(([zone, ms]) => reading(zone, ms)), deadLetters: [] })
  }
  const view = openOutboxView(file)!
  const change = (sql: string) => {
    const db = new Database(file)
    db.exec(sql)
    db.close()
  }
  const found = (fromMs: number, toMs: number, zone?: string, from = 1) => {
    const window = { fromMs: BASE + fromMs, toMs: BASE + toMs, zone }
    return [...view.scanGroups(from, window)].map(one => {
      if (one.kind === 'gone') return `gone ${one.from}-${one.to}`
      if (one.kind === 'unreadable') return `unreadable ${one.sequence}`
      const events = view.eventsOf(one.sequence, window)
      return 'reason' in events ? `lost ${one.sequence}` : events.map(({ sequence }) => sequence)
    })
  }
  return {
    ...{ outbox, view, found, change, file },
    [Symbol.dispose]() {
      view.close()
      outbox.close()
      place[Symbol.dispose]()
    },
  }
}

const many = Array.from({ length: 450 }, (_, index): [string, number][] => [
  [`z${index % 2}`, index],
])

describe('the view of an outbox', () => {
  it('finds every event of a time range, its end excluded, over many pages', () => {
    using setup = startView(many)
    const span = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => [from + i])
    expect(setup.found(0, 450)).toEqual(span(1, 451))
    expect(setup.found(100, 400)).toEqual(span(101, 401))
    expect(setup.found(100, 101)).toEqual([[101]])
    expect(setup.found(450, 900)).toEqual([])
    expect(setup.found(0, 450, undefined, 449)).toEqual([[449], [450]])
  })

  it('splits a group at the time range, and finds only events of the zone', () => {
    using setup = startView([
      [
        ['a', 0],
        ['b', 5],
        ['a', 10],
      ],
      [['b', 20]],
    ])
    expect(setup.found(5, 10)).toEqual([[2]])
    expect(setup.found(0, 100, 'a')).toEqual([[1, 3]])
    expect(setup.found(0, 100, 'b')).toEqual([[2], [4]])
    expect(setup.found(0, 100, 'c')).toEqual([])
  })

  it('reads no body that is not requested', () => {
    using setup = startView([[['a', 0]], [['b', 10]], [['a', 20]]])
    setup.change(`UPDATE groups SET body = x'00' WHERE sequence < 3`)
    expect(setup.found(0, 100, 'a')).toEqual(['lost 1', [3]])
    expect(setup.found(15, 100)).toEqual([[3]])
  })

  it('names a group whose header is damaged, whatever the time range', () => {
    using setup = startView([[['a', 0]], [['b', 10]], [['a', 20]]])
    setup.change('UPDATE groups SET receivedFrom = 1, receivedTo = 1 WHERE sequence = 2')
    expect(setup.found(15, 100, 'a')).toEqual(['unreadable 2', [3]])
  })

  it('names missing numbers that may have been in the time range', () => {
    using setup = startView([[['a', 0]], [['a', 10]], [['a', 20]], [['a', 30]], [['a', 40]]])
    setup.change('DELETE FROM groups WHERE sequence IN (1, 3)')
    expect(setup.found(0, 100)).toEqual(['gone 1-1', [2], 'gone 3-3', [4], [5]])
    expect(setup.found(15, 100)).toEqual(['gone 3-3', [4], [5]])
    expect(setup.found(30, 100)).toEqual([[4], [5]])
  })

  it('finds where the last events start', () => {
    using setup = startView(many)
    expect(setup.view.findLastEvents(3, undefined)).toMatchObject({ sequence: 448, skip: 0 })
    expect(setup.view.findLastEvents(150, 'z0')).toMatchObject({ sequence: 151, skip: 0 })
    expect(setup.view.findLastEvents(10_000, undefined)).toMatchObject({ sequence: 1, skip: 0 })
    setup.outbox.commit({ readings: [1, 2, 3].map(n => reading('z9', n)), deadLetters: [] })
    expect(setup.view.findLastEvents(2, undefined)).toMatchObject({ sequence: 451, skip: 1 })
    expect(setup.view.findLastEvents(0, undefined)).toMatchObject({ sequence: 451, skip: 3 })
  })

  it('is null where there is no outbox, and does not block the writer', () => {
    using setup = startView([])
    expect(openOutboxView(`${setup.file}.other`)).toBe(null)
    expect(setup.view.findLastEvents(3, undefined)).toMatchObject({ sequence: 1, skip: 0 })
    const looking = setup.view.scanGroups(1, ANY_TIME)
    setup.outbox.commit({ readings: [reading('a'), reading('b')], deadLetters: [] })
    looking.next()
    setup.change('PRAGMA wal_checkpoint(TRUNCATE); DELETE FROM groups')
    expect(setup.view.eventsOf(1, ANY_TIME)).toEqual({ reason: 'no longer in the outbox' })
  })
})
