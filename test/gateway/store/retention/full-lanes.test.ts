import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutboxReader } from '../../../../gateway/store/read/outbox-reader.ts'
import { openOutboxView } from '../../../../gateway/store/read/outbox-view.ts'
import { temporary } from '../fixture.ts'
import { verdictOf } from '../recovery/ledger-verdict.ts'
import { openRetention, randomReadings } from './retention-fixture.ts'

const alarms = { alarms: { whenFull: 'refuse' as const } }
/** The bytes of a reading, so large that a few hundred readings fill the smallest outbox. */
const BYTES = 8000
const HOUR_MS = 3_600_000
const rowsOf = (file: string, query: string) => {
  const db = new Database(file, { readonly: true })
  const rows = db.prepare(query).raw().all() as unknown[][]
  db.close()
  return rows
}

/**
 * Opens an outbox. `fillUp` writes one reading after another; the first reading of each fifty is in
 * the lane `alarms`.
 */
function openMixed(settings: Parameters<typeof openRetention>[0] = {}) {
  const setup = openRetention({
    ...{ bounds: { bytes: 4_194_304 }, whenFull: 'drop-oldest', lanes: alarms },
    ...settings,
  })
  const fillUp = (maxGroups: number) => {
    for (let n = 0; n < maxGroups; n++) {
      const reason = setup.retention.admit()
      if (reason !== null) return { accepted: n, reason }
      const lane = n % 50 === 0 ? 'alarms' : undefined
      setup.outbox.commit(randomReadings(1, setup.time.wallMs, lane, BYTES))
    }
    return { accepted: maxGroups, reason: null }
  }
  return Object.assign(setup, { fillUp })
}

describe('a lane that refuses', { timeout: 120_000 }, () => {
  it('keeps all events while another lane makes room, and the ledger misses none', () => {
    using setup = openMixed()
    expect(setup.fillUp(1000)).toEqual({ accepted: 1000, reason: null })
    const sequences = setup.sequences()
    const kept = sequences.filter(sequence => sequence % 50 === 1)
    expect(kept).toEqual(Array.from({ length: 20 }, (_, n) => 1 + 50 * n))
    const others = sequences.filter(sequence => sequence % 50 !== 1)
    expect(others.length).toBeGreaterThan(300)
    expect(others).toEqual(
      Array.from({ length: 1000 }, (_, n) => n + 1)
        .filter(sequence => sequence % 50 !== 1)
        .slice(-others.length),
    )
    setup.outbox.writeZoneHeads()
    expect(verdictOf(setup.file)).toMatchObject({
      ...{ missing: 0, awaited: 0, strange: 0 },
      ...{ events: sequences.length, explained: 1000 - sequences.length },
    })
    const stored = rowsOf(
      setup.file,
      'SELECT sum(length(header) + length(body)) FROM groups',
    )[0]![0]
    const { events, bytes } = setup.outbox.backlog(null, 0)
    expect([events, bytes]).toEqual([sequences.length, stored])
  })

  it('leaves one row where adjacent groups were emptied', () => {
    using setup = openMixed()
    setup.fillUp(1000)
    const emptied = rowsOf(
      setup.file,
      'SELECT sequence, count FROM groups WHERE length(body) = 0 ORDER BY sequence',
    )
    expect(emptied.length).toBeGreaterThan(5)
    expect(emptied.slice(0, 3)).toEqual([
      [2, 49],
      [52, 49],
      [102, 49],
    ])
  })

  it('makes other lanes wait when it alone fills the outbox', () => {
    using setup = openMixed()
    setup.fillUp(100)
    for (let n = 0; n < 1000 && setup.retention.admit() === null; n++) {
      setup.outbox.commit(randomReadings(1, setup.time.wallMs, 'alarms', BYTES))
    }
    const reason = 'outbox.bounds.bytes = 4194304 is reached'
    expect(setup.retention.refusalReason).toBe(reason)
    expect(setup.sequences().filter(sequence => sequence <= 100)).toEqual([1, 51])
    expect(setup.retention.admit()).toBe(reason)
    setup.update(400)
    setup.steps()
    expect(setup.retention.admit()).toBe(null)
  })

  it('is not counted with events that were dropped', () => {
    using setup = openMixed({ bounds: { events: 300 } })
    expect(setup.fillUp(900).reason).toBe(null)
    const remaining = setup.sequences()
    expect(remaining.length).toBeGreaterThan(250)
    expect(remaining.length).toBeLessThanOrEqual(300)
    expect(remaining.filter(sequence => sequence % 50 === 1).length).toBe(18)
  })

  it('has too old events of other lanes dropped, and refuses while its own are too old', () => {
    using setup = openMixed({ bounds: { hours: 5 } })
    setup.fillUp(3)
    setup.update(null)
    setup.time.passedMs = 6 * HOUR_MS
    setup.update(null)
    setup.steps()
    expect(setup.sequences()).toEqual([1, 3])
    expect(setup.retention.admit()).toBe('outbox.bounds.hours = 5 is reached')
    setup.update(2)
    setup.steps()
    expect(setup.retention.admit()).toBe(null)
  })

  it('is any lane without a policy of its own when whenFull is refuse', () => {
    using setup = openMixed({
      ...{ whenFull: 'refuse', lanes: { standard: { whenFull: 'drop-oldest' } } },
      bounds: { events: 300 },
    })
    setup.fillUp(900)
    expect(setup.sequences().filter(sequence => sequence % 50 === 1).length).toBe(18)
  })
})

describe('an emptied group', () => {
  const openEmptied = () => {
    const setup = openMixed({ bounds: { events: 300 } })
    setup.fillUp(900)
    return setup
  }

  it('is skipped by the bridge without a note', () => {
    using setup = openEmptied()
    using directory = temporary()
    const inbox = openInbox({ file: directory.file('inbox.db'), settleMs: 1 })
    const reader = openOutboxReader(setup.file)!
    expect(reader.groupAt(2)).toMatchObject({ sequence: 2, count: 49, content: [] })
    expect(reader.groupAt(30)).toMatchObject({ sequence: 2, count: 49, content: [] })
    expect(inbox.notesFrom(1)).toEqual([])
    reader.close()
    inbox.close()
  })

  it('is not shown by the outbox view', () => {
    using setup = openEmptied()
    const view = openOutboxView(setup.file)!
    const all = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER }
    const items = [...view.scanGroups(1, all)]
    expect(items.every(({ kind }) => kind === 'group')).toBe(true)
    const last = setup.sequences().slice(-100)
    const { sequence, skip } = view.findLastEvents(last.length, undefined)
    expect([sequence, skip]).toEqual([last[0], 0])
    view.close()
  })

  it('is unchanged by a restart', () => {
    const setup = openEmptied()
    const before = setup.outbox.backlog([{ next: 1, end: null }], 0)
    setup.close()
    using reopened = openRetention({ bounds: { events: 300 }, lanes: alarms }, setup.directory)
    expect(reopened.outbox.backlog([{ next: 1, end: null }], 0)).toEqual(before)
    expect(reopened.outbox.recovery).toBe(null)
  })
})
