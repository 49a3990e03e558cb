import { randomBytes } from 'node:crypto'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { createZoneMatcher } from '../../../../gateway/store/delivery/zone-filter.ts'
import { createSelection } from '../../../../gateway/store/groups/downsampling.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutboxReader } from '../../../../gateway/store/read/outbox-reader.ts'
import { openOutboxView } from '../../../../gateway/store/read/outbox-view.ts'
import { decodeRuns } from '../../../../gateway/store/sequence/spans.ts'
import { createActiveRanges } from '../../../../gateway/store/source/active-ranges.ts'
import { readBatch } from '../../../../gateway/store/source/batch-reader.ts'
import { reading, readOutbox, temporary } from '../fixture.ts'
import { verdictOf } from '../recovery/ledger-verdict.ts'
import { openRetention } from './retention-fixture.ts'

const lanes = { alarms: { whenFull: 'refuse' as const } }
const ALL = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER }

/** Ten devices in two zones whose values do not compress; every tenth commit has an alarm. */
function openThinning(settings: Parameters<typeof openRetention>[0] = {}) {
  const setup = openRetention({
    bounds: { bytes: 4_194_304 },
    whenFull: 'thin',
    lanes,
    ...settings,
  })
  let number = 0
  const nextReading = () => {
    const [device, zone] = [`d${number % 10}`, number % 2 ? 'a' : 'b']
    const none = { flag: null, text: null, unit: null }
    const text = randomBytes(1000).toString('base64')
    const measurements = [
      { ...none, metric: 'n', number: Math.sin(number++ / 7) * 100 },
      { ...none, metric: 'pad', number: null, text },
    ]
    return reading(zone, number, { device, measurements })
  }
  const write = (commits: number, events = 40) => {
    for (let n = 0; n < commits; n++) {
      const reason = setup.retention.admit()
      if (reason !== null) return reason
      const readings = Array.from({ length: events }, nextReading)
      const alarm = n % 10 === 5 ? [{ ...nextReading(), lane: 'alarms' }] : []
      setup.outbox.commit({ readings: [...readings, ...alarm] })
    }
    return null
  }
  const thinned = () => setup.tombstones().filter(({ numbers }) => numbers !== undefined)
  return Object.assign(setup, { write, thinned })
}

const rowsOf = (file: string, query: string) => {
  const db = new Database(file, { readonly: true })
  const rows = db.prepare(query).raw().all() as number[][]
  db.close()
  return rows
}

/** Writes events until one run is thinned; returns the events before and after the thinning. */
function thinSome(setup: ReturnType<typeof openThinning>) {
  setup.write(70)
  const before = readOutbox(setup.file).events
  expect(setup.thinned()).toEqual([])
  const isDone = () => setup.thinned().some(({ means }) => means)
  for (let n = 0; n < 60 && !isDone(); n++) setup.write(1)
  return { before, after: readOutbox(setup.file).events }
}

describe('a lane that is thinned', { timeout: 120_000 }, () => {
  it('accepts messages, and every number is stored or in a note', () => {
    using setup = openThinning()
    expect(setup.write(400)).toBe(null)
    expect(setup.thinned().length).toBeGreaterThan(5)
    setup.outbox.writeZoneHeads()
    const remaining = setup.sequences()
    expect(verdictOf(setup.file)).toMatchObject({
      ...{ missing: 0, awaited: 0, strange: 0 },
      ...{ events: remaining.length, explained: setup.outbox.lastSequence - remaining.length },
    })
    expect(rowsOf(setup.file, "SELECT count(*) FROM groups WHERE lane = 'alarms'")).toEqual([[40]])
  })

  it('reaches further back than a lane whose oldest events are dropped', () => {
    using thin = openThinning()
    using drop = openThinning({ whenFull: 'drop-oldest' })
    thin.write(250)
    drop.write(250)
    const firstOf = (setup: ReturnType<typeof openThinning>) =>
      readOutbox(setup.file).events.find(({ device }) => device === 'd3')!.sequence
    expect(firstOf(thin)).toBeLessThan(20)
    expect(firstOf(drop)).toBeGreaterThan(1000)
  })

  it('keeps the first, lowest, highest and last of each metric, unchanged', () => {
    using setup = openThinning()
    const { before, after } = thinSome(setup)
    const byNumber = new Map(before.map(event => [event.sequence, event]))
    for (const event of after) {
      const original = byNumber.get(event.sequence)
      if (original) expect(event).toEqual(original)
    }
    const removed = new Set(
      setup
        .thinned()
        .flatMap(({ numbers }) =>
          decodeRuns(numbers).flatMap(({ from, to }) =>
            Array.from({ length: to - from + 1 }, (_, n) => from + n),
          ),
        ),
    )
    const last = Math.max(...removed)
    const kept = new Set(after.map(({ sequence }) => sequence))
    expect(before.filter(({ sequence }) => !kept.has(sequence)).length).toBe(removed.size)
    // The run starts with the first group of the outbox and ends with the last thinned group.
    const [end] = rowsOf(
      setup.file,
      `SELECT max(sequence + count) FROM groups WHERE version = 2`,
    )[0]!
    const selection = createSelection()
    const lanesOf = new Map(rowsOf(setup.file, 'SELECT sequence, lane FROM groups') as never)
    const run = before.filter(({ sequence }) => sequence < end!)
    for (const event of run) if (lanesOf.get(event.sequence) !== 'alarms') selection.add(event)
    const isKept = selection.kept()
    for (const { sequence } of run) {
      const isAlarm = lanesOf.get(sequence) === 'alarms'
      expect([sequence, kept.has(sequence)]).toEqual([sequence, isAlarm || isKept.has(sequence)])
    }
    expect(last).toBeLessThan(end!)
  })

  it('notes the count and mean of the removed values of each metric', () => {
    using setup = openThinning()
    const { before, after } = thinSome(setup)
    const kept = new Set(after.map(({ sequence }) => sequence))
    const noted = setup.thinned().filter(({ means }) => means)
    expect(noted.length).toBe(1)
    const removed = before.filter(({ sequence }) => !kept.has(sequence))
    const means = noted[0]!.means as [string, string, string, string, number, number][]
    expect(means.length).toBe(10)
    for (const [site, zone, device, metric, count, mean] of means) {
      const numbers = removed
        .filter(event => event.device === device)
        .map(event => event.measurements[0]!)
      expect([site, zone, metric]).toEqual(['hq', zone, 'n'])
      expect(count).toBe(numbers.length)
      const sum = numbers.reduce((total, { number }) => total + number!, 0)
      expect(mean).toBeCloseTo(sum / count)
    }
  })

  it('gives the bridge exactly the remaining events', () => {
    using setup = openThinning()
    const { after } = thinSome(setup)
    using directory = temporary()
    const inbox = openInbox({ file: directory.file('inbox.db'), settleMs: 1 })
    const reader = openOutboxReader(setup.file)!
    const ranges = createActiveRanges(inbox)
    ranges.load(reader.store)
    const liveRange = { store: reader.store, next: 1, end: null, topic: 't', partitions: 1 }
    ranges.addRange({ ...liveRange, zones: null, kind: 'live', reason: '' })
    const numbers: number[] = []
    for (;;) {
      const [range] = ranges.undelivered
      const parts = { ...ranges, addNotes: inbox.addNotes, matcherOf: createZoneMatcher() }
      const batch = readBatch(reader, parts, range!, { maxEvents: 100, maxBytes: 1e6 })
      if (!batch) break
      numbers.push(...batch.events.map(({ sequence }) => sequence))
      ranges.advance(range!, batch.next)
    }
    expect(numbers).toEqual(after.map(({ sequence }) => sequence))
    expect(inbox.notesFrom(1)).toEqual([])
    inbox.close()
    reader.close()
  })

  it('counts the remaining events and bytes, also after a restart', () => {
    using setup = openThinning()
    const { after } = thinSome(setup)
    const stored = rowsOf(
      setup.file,
      'SELECT sum(length(header) + length(body)) FROM groups',
    )[0]![0]
    const backlog = setup.outbox.backlog(null, 0)
    expect([backlog.events, backlog.bytes]).toEqual([after.length, stored])
    const view = openOutboxView(setup.file)!
    const groups = [...view.scanGroups(1, ALL)]
    const counts = groups.flatMap(item => (item.kind === 'group' ? item.zones : []))
    expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(after.length)
    const tenth = after.at(-10)!.sequence
    const { sequence, skip } = view.findLastEvents(10, undefined)
    const events = view.eventsOf(sequence, ALL) as SensorReading[]
    expect(events[skip]!.sequence).toBe(tenth)
    view.close()
    setup.close()
    using reopened = openRetention({ lanes }, setup.directory)
    expect(reopened.outbox.backlog(null, 0)).toEqual(backlog)
  })

  it('does not change groups that the bridge may have read or delivered', () => {
    using setup = openThinning({ aheadEvents: 200, keep: { hours: 0, bytes: 0 } })
    setup.write(10)
    setup.update(301)
    setup.write(70)
    for (let n = 0; n < 60 && setup.thinned().length === 0; n++) setup.write(1)
    const first = Math.min(...setup.thinned().map(({ from }) => from as number))
    expect(first).toBeGreaterThan(501)
    expect(first).toBeLessThan(600)
  })

  it('is dropped, the oldest events first, where thinning does not help', () => {
    using setup = openThinning({ bounds: { events: 1000 } })
    expect(setup.write(50)).toBe(null)
    const dropped = setup.tombstones().filter(({ numbers }) => numbers === undefined)
    expect(dropped.length).toBeGreaterThan(0)
    expect(setup.sequences().length).toBeLessThanOrEqual(1041)
    setup.outbox.writeZoneHeads()
    expect(verdictOf(setup.file)).toMatchObject({ missing: 0, awaited: 0 })
  })
})

describe('an event that was delivered although it was thinned', () => {
  it('counts as delivered', () => {
    using setup = openThinning()
    const { before, after } = thinSome(setup)
    setup.outbox.writeZoneHeads()
    const read = before.slice(0, 500)
    const kept = new Set([...read, ...after].map(({ sequence }) => sequence))
    const { events, explained, missing, duplicates } = verdictOf(setup.file, read)
    expect([events, missing]).toEqual([kept.size, 0])
    expect(explained).toBe(setup.outbox.lastSequence - kept.size)
    expect(duplicates).toBeGreaterThan(0)
  })

  it('does not explain a remaining event that was not delivered: that is missing', () => {
    using setup = openThinning()
    const { after } = thinSome(setup)
    setup.outbox.writeZoneHeads()
    const lost = after[20]!
    const verdict = verdictOf(setup.file, [], event => event.sequence !== lost.sequence)
    expect(verdict).toMatchObject({ missing: 1 })
    expect(verdict.holes.filter(({ fate }) => fate === 'missing')).toMatchObject([
      { zone: lost.zone, from: lost.zoneSequence, to: lost.zoneSequence },
    ])
  })
})
