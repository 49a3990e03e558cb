import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutboxReader } from '../../../../gateway/store/read/outbox-reader.ts'
import { openOutboxView } from '../../../../gateway/store/read/outbox-view.ts'
import { temporary } from '../fixture.ts'
import { verdictOf } from '../recovery/ledger-verdict.ts'
import { someReadings, startKeeping } from './retention-fixture.ts'

const alarms = { alarms: { whenFull: 'refuse' as const } }
/** So large that few hundred fill the smallest outbox. */
const BYTES = 8000
const HOUR_MS = 3_600_000
const rowsOf = (file: string, query: string) => {
  const db = new Database(file, { readonly: true })
  const rows = db.prepare(query).raw().all() as unknown[][]
  db.close()
  return rows
}

/** One alarm first, then others, one alarm among fifty. */
function startMixed(more: Parameters<typeof startKeeping>[0] = {}) {
  const at = startKeeping({
    ...{ bounds: { bytes: 4_194_304 }, whenFull: 'drop-oldest', lanes: alarms },
    ...more,
  })
  const fillUp = (most: number) => {
    for (let n = 0; n < most; n++) {
      const reason = at.retention.admit()
      if (reason !== null) return { accepted: n, reason }
      const lane = n % 50 === 0 ? 'alarms' : undefined
      at.outbox.commit(someReadings(1, at.time.wallMs, lane, BYTES))
    }
    return { accepted: most, reason: null }
  }
  return Object.assign(at, { fillUp })
}

describe('a lane that refuses', { timeout: 120_000 }, () => {
  it('keeps everything while another makes room, and the ledger misses nothing', () => {
    using at = startMixed()
    expect(at.fillUp(1000)).toEqual({ accepted: 1000, reason: null })
    const sequences = at.sequences()
    const kept = sequences.filter(one => one % 50 === 1)
    expect(kept).toEqual(Array.from({ length: 20 }, (_, n) => 1 + 50 * n))
    const others = sequences.filter(one => one % 50 !== 1)
    expect(others.length).toBeGreaterThan(300)
    expect(others).toEqual(
      Array.from({ length: 1000 }, (_, n) => n + 1)
        .filter(one => one % 50 !== 1)
        .slice(-others.length),
    )
    at.outbox.writeZoneHeads()
    expect(verdictOf(at.file)).toMatchObject({
      ...{ missing: 0, awaited: 0, strange: 0 },
      ...{ events: sequences.length, explained: 1000 - sequences.length },
    })
    const stored = rowsOf(at.file, 'SELECT sum(length(header) + length(body)) FROM groups')[0]![0]
    const { events, bytes } = at.outbox.backlog(null, 0)
    expect([events, bytes]).toEqual([sequences.length, stored])
  })

  it('leaves one row where many groups were emptied beside each other', () => {
    using at = startMixed()
    at.fillUp(1000)
    const emptied = rowsOf(
      at.file,
      'SELECT sequence, count FROM groups WHERE length(body) = 0 ORDER BY sequence',
    )
    expect(emptied.length).toBeGreaterThan(5)
    expect(emptied.slice(0, 3)).toEqual([
      [2, 49],
      [52, 49],
      [102, 49],
    ])
  })

  it('makes the others wait when it alone fills the outbox', () => {
    using at = startMixed()
    at.fillUp(100)
    for (let n = 0; n < 1000 && at.retention.admit() === null; n++) {
      at.outbox.commit(someReadings(1, at.time.wallMs, 'alarms', BYTES))
    }
    const reason = 'outbox.bounds.bytes = 4194304 is reached'
    expect(at.retention.refusalReason).toBe(reason)
    expect(at.sequences().filter(one => one <= 100)).toEqual([1, 51])
    expect(at.retention.admit()).toBe(reason)
    at.see(400)
    at.steps()
    expect(at.retention.admit()).toBe(null)
  })

  it('counts no event that is gone', () => {
    using at = startMixed({ bounds: { events: 300 } })
    expect(at.fillUp(900).reason).toBe(null)
    const left = at.sequences()
    expect(left.length).toBeGreaterThan(250)
    expect(left.length).toBeLessThanOrEqual(300)
    expect(left.filter(one => one % 50 === 1).length).toBe(18)
  })

  it('lets others that are too old go, and refuses while it waits too long itself', () => {
    using at = startMixed({ bounds: { hours: 5 } })
    at.fillUp(3)
    at.see(null)
    at.time.passedMs = 6 * HOUR_MS
    at.see(null)
    at.steps()
    expect(at.sequences()).toEqual([1, 3])
    expect(at.retention.admit()).toBe('outbox.bounds.hours = 5 is reached')
    at.see(2)
    at.steps()
    expect(at.retention.admit()).toBe(null)
  })

  it('is what a lane does that has no policy of its own, where that is the policy', () => {
    using at = startMixed({
      ...{ whenFull: 'refuse', lanes: { standard: { whenFull: 'drop-oldest' } } },
      bounds: { events: 300 },
    })
    at.fillUp(900)
    expect(at.sequences().filter(one => one % 50 === 1).length).toBe(18)
  })
})

describe('an emptied group', () => {
  const startEmptied = () => {
    const at = startMixed({ bounds: { events: 300 } })
    at.fillUp(900)
    return at
  }

  it('is passed by the bridge without a word', () => {
    using at = startEmptied()
    using place = temporary()
    const inbox = openInbox({ file: place.file('inbox.db'), settleMs: 1 })
    const reader = openOutboxReader(at.file)!
    expect(reader.groupAt(2)).toMatchObject({ sequence: 2, count: 49, content: [] })
    expect(reader.groupAt(30)).toMatchObject({ sequence: 2, count: 49, content: [] })
    expect(inbox.notesFrom(1)).toEqual([])
    reader.close()
    inbox.close()
  })

  it('is nothing to those who look at the outbox', () => {
    using at = startEmptied()
    const view = openOutboxView(at.file)!
    const all = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER }
    const found = [...view.scanGroups(1, all)]
    expect(found.every(({ kind }) => kind === 'group')).toBe(true)
    const last = at.sequences().slice(-100)
    const { sequence, skip: more } = view.findLastEvents(last.length, undefined)
    expect([sequence, more]).toEqual([last[0], 0])
    view.close()
  })

  it('stays what it is over a restart', () => {
    const at = startEmptied()
    const before = at.outbox.backlog([{ next: 1, end: null }], 0)
    at.close()
    using again = startKeeping({ bounds: { events: 300 }, lanes: alarms }, at.place)
    expect(again.outbox.backlog([{ next: 1, end: null }], 0)).toEqual(before)
    expect(again.outbox.recovery).toBe(null)
  })
})
