import { setImmediate as yieldToOthers } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { sequenceRunsIn } from '../../../cloud-bridge/replay/sequence-runs.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { openOutboxView } from '../../../gateway/store/read/outbox-view.ts'
import { reading, temporary } from '../../gateway/store/fixture.ts'

const BASE = 1_700_000_000_000
const ALL = Number.MAX_SAFE_INTEGER
type Group = [zone: string, ms: number][]

/** An outbox of groups, each a list of [zone, ms after BASE]. */
function startRuns(groups: Group[]) {
  const place = temporary()
  const file = place.file('outbox.db')
  const outbox = openOutbox({ file, gateway: 'gw' })
  for (const group of groups) {
    outbox.commit({ readings: group.map(([zone, ms]) => reading(zone, ms)), deadLetters: [] })
  }
  const view = openOutboxView(file)!
  return {
    runs: (fromMs: number, toMs: number, zone?: string, last = ALL) =>
      sequenceRunsIn(
        view,
        { fromMs: BASE + fromMs, toMs: BASE + toMs, zone },
        { from: 1, to: last },
      ),
    change(sql: string) {
      const db = new Database(file)
      db.exec(sql)
      db.close()
    },
    [Symbol.dispose]() {
      view.close()
      outbox.close()
      place[Symbol.dispose]()
    },
  }
}

const single = (count: number, zoneOf = (_: number) => 'a') =>
  Array.from({ length: count }, (_, at): Group => [[zoneOf(at), at]])

describe('the sequence runs of a time', () => {
  it('are one run where the groups are adjacent, over many pages', async () => {
    using at = startRuns(single(500))
    expect(await at.runs(0, 500)).toEqual([{ from: 1, to: 500, events: 500 }])
    expect(await at.runs(100, 400)).toEqual([{ from: 101, to: 400, events: 300 }])
    expect(await at.runs(100, 101)).toEqual([{ from: 101, to: 101, events: 1 }])
    expect(await at.runs(500, 900)).toEqual([])
  })

  it('start and end with a matching event, inside a group', async () => {
    const group = (ms: number): Group => ['a', 'b', 'c', 'b'].map((zone, i) => [zone, ms + i])
    using at = startRuns([group(0), group(10), group(20)])
    expect(await at.runs(2, 22)).toEqual([{ from: 3, to: 10, events: 8 }])
    expect(await at.runs(0, 30, 'b')).toEqual([{ from: 2, to: 12, events: 6 }])
    expect(await at.runs(0, 30, 'c')).toEqual([{ from: 3, to: 11, events: 3 }])
    expect(await at.runs(0, 30, 'd')).toEqual([])
  })

  it('leave out events of the zone from another time in the same group', async () => {
    using at = startRuns([
      [
        ['b', 0],
        ['a', 10],
      ],
      [['b', 20]],
      [
        ['a', 30],
        ['b', 40],
      ],
    ])
    expect(await at.runs(5, 35, 'b')).toEqual([{ from: 3, to: 3, events: 1 }])
    expect(await at.runs(5, 15, 'b')).toEqual([])
  })

  it('end with the last delivered event, also inside a group', async () => {
    using at = startRuns([...single(250), single(5).flat(), ...single(250)])
    expect(await at.runs(0, 500, undefined, 252)).toEqual([{ from: 1, to: 252, events: 252 }])
    expect(await at.runs(0, 500, undefined, 0)).toEqual([])
  })

  it('are several where the clock was set, groups were deleted, or headers are damaged', async () => {
    using at = startRuns([[['a', 0]], [['a', 900]], [['a', 5]], [['a', 6]], [['a', 7]]])
    expect(await at.runs(0, 100)).toEqual([
      { from: 1, to: 1, events: 1 },
      { from: 3, to: 5, events: 3 },
    ])
    at.change('UPDATE groups SET receivedFrom = 1 WHERE sequence = 4')
    const expected = [
      { from: 1, to: 1, events: 1 },
      { from: 3, to: 3, events: 1 },
      { from: 5, to: 5, events: 1 },
    ]
    expect(await at.runs(0, 100)).toEqual(expected)
    at.change('DELETE FROM groups WHERE sequence = 4')
    expect(await at.runs(0, 100)).toEqual(expected)
  })

  it('include an unreadable group, which a note will name', async () => {
    const zones = (at: number) => (at % 2 === 0 ? 'a' : 'b')
    using at = startRuns(single(4, zones))
    at.change(`UPDATE groups SET body = x'00' WHERE sequence IN (1, 4)`)
    expect(await at.runs(0, 100)).toEqual([{ from: 1, to: 4, events: 4 }])
    expect(await at.runs(0, 100, 'a')).toEqual([{ from: 1, to: 3, events: 2 }])
  })

  it('are searched with yields to other work, however few there are', async () => {
    let pages = 0
    let turns = 0
    const countTurns = async () => {
      for (; pages < 20; turns++) await yieldToOthers()
    }
    const pagesFrom = function* () {
      for (; pages < 20; pages++) yield []
    }
    const eventsOf = () => []
    await Promise.all([
      sequenceRunsIn(
        { scanPages: pagesFrom, eventsOf },
        { fromMs: 0, toMs: 1 },
        { from: 1, to: ALL },
      ),
      countTurns(),
    ])
    expect(turns).toBeGreaterThanOrEqual(20)
  })
})
