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
import { startKeeping } from './retention-fixture.ts'

const lanes = { alarms: { whenFull: 'refuse' as const } }
const ALL = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER }

/** Ten devices in two zones whose values do not compress; every tenth commit has an alarm. */
function startThinning(more: Parameters<typeof startKeeping>[0] = {}) {
  const at = startKeeping({ bounds: { bytes: 4_194_304 }, whenFull: 'thin', lanes, ...more })
  let number = 0
  const one = () => {
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
      const reason = at.retention.admit()
      if (reason !== null) return reason
      const readings = Array.from({ length: events }, one)
      const alarm = n % 10 === 5 ? [{ ...one(), lane: 'alarms' }] : []
      at.outbox.commit({ readings: [...readings, ...alarm] })
    }
    return null
  }
  const thinned = () => at.tombstones().filter(({ numbers }) => numbers !== undefined)
  return Object.assign(at, { write, thinned })
}

const rowsOf = (file: string, query: string) => {
  const db = new Database(file, { readonly: true })
  const rows = db.prepare(query).raw().all() as number[][]
  db.close()
  return rows
}

/** Writes so much that one run is thinned; gives what was there before and what is now. */
function thinSome(at: ReturnType<typeof startThinning>) {
  at.write(70)
  const before = readOutbox(at.file).events
  expect(at.thinned()).toEqual([])
  const isDone = () => at.thinned().some(({ means }) => means)
  for (let n = 0; n < 60 && !isDone(); n++) at.write(1)
  return { before, after: readOutbox(at.file).events }
}

describe('a lane that is thinned', { timeout: 120_000 }, () => {
  it('goes on accepting, and every number is there or told', () => {
    using at = startThinning()
    expect(at.write(400)).toBe(null)
    expect(at.thinned().length).toBeGreaterThan(5)
    at.outbox.writeZoneHeads()
    const left = at.sequences()
    expect(verdictOf(at.file)).toMatchObject({
      ...{ missing: 0, awaited: 0, strange: 0 },
      ...{ events: left.length, explained: at.outbox.lastSequence - left.length },
    })
    expect(rowsOf(at.file, "SELECT count(*) FROM groups WHERE lane = 'alarms'")).toEqual([[40]])
  })

  it('reaches further back than one whose oldest is dropped', () => {
    using thin = startThinning()
    using drop = startThinning({ whenFull: 'drop-oldest' })
    thin.write(250)
    drop.write(250)
    const firstOf = (at: ReturnType<typeof startThinning>) =>
      readOutbox(at.file).events.find(({ device }) => device === 'd3')!.sequence
    expect(firstOf(thin)).toBeLessThan(20)
    expect(firstOf(drop)).toBeGreaterThan(1000)
  })

  it('keeps the first, lowest, highest and last of each metric, unchanged', () => {
    using at = startThinning()
    const { before, after } = thinSome(at)
    const byNumber = new Map(before.map(event => [event.sequence, event]))
    for (const event of after) {
      const was = byNumber.get(event.sequence)
      if (was) expect(event).toEqual(was)
    }
    const gone = new Set(
      at
        .thinned()
        .flatMap(({ numbers }) =>
          decodeRuns(numbers).flatMap(({ from, to }) =>
            Array.from({ length: to - from + 1 }, (_, n) => from + n),
          ),
        ),
    )
    const last = Math.max(...gone)
    const kept = new Set(after.map(({ sequence }) => sequence))
    expect(before.filter(({ sequence }) => !kept.has(sequence)).length).toBe(gone.size)
    // The run begins with the store; where it ended is where what is kept ends.
    const [end] = rowsOf(at.file, `SELECT max(sequence + count) FROM groups WHERE version = 2`)[0]!
    const selection = createSelection()
    const lanesOf = new Map(rowsOf(at.file, 'SELECT sequence, lane FROM groups') as never)
    const run = before.filter(({ sequence }) => sequence < end!)
    for (const event of run) if (lanesOf.get(event.sequence) !== 'alarms') selection.add(event)
    const isKept = selection.kept()
    for (const { sequence } of run) {
      const isAlarm = lanesOf.get(sequence) === 'alarms'
      expect([sequence, kept.has(sequence)]).toEqual([sequence, isAlarm || isKept.has(sequence)])
    }
    expect(last).toBeLessThan(end!)
  })

  it('tells how many values of each metric went, and their mean', () => {
    using at = startThinning()
    const { before, after } = thinSome(at)
    const kept = new Set(after.map(({ sequence }) => sequence))
    const told = at.thinned().filter(({ means }) => means)
    expect(told.length).toBe(1)
    const gone = before.filter(({ sequence }) => !kept.has(sequence))
    const means = told[0]!.means as [string, string, string, string, number, number][]
    expect(means.length).toBe(10)
    for (const [site, zone, device, metric, count, mean] of means) {
      const numbers = gone.filter(one => one.device === device).map(one => one.measurements[0]!)
      expect([site, zone, metric]).toEqual(['hq', zone, 'n'])
      expect(count).toBe(numbers.length)
      const sum = numbers.reduce((total, { number }) => total + number!, 0)
      expect(mean).toBeCloseTo(sum / count)
    }
  })

  it('gives the bridge exactly what is left', () => {
    using at = startThinning()
    const { after } = thinSome(at)
    using place = temporary()
    const inbox = openInbox({ file: place.file('inbox.db'), settleMs: 1 })
    const reader = openOutboxReader(at.file)!
    const ranges = createActiveRanges(inbox)
    ranges.load(reader.store)
    const range = { store: reader.store, next: 1, end: null, topic: 't', partitions: 1 }
    ranges.addRange({ ...range, zones: null, reason: 'first contact' })
    const numbers: number[] = []
    for (;;) {
      const [own] = ranges.undelivered
      const parts = { ...ranges, addNotes: inbox.addNotes, chosenBy: createZoneMatcher() }
      const taken = readBatch(reader, parts, own!, { maxEvents: 100, maxBytes: 1e6 })
      if (!taken) break
      numbers.push(...taken.events.map(({ sequence }) => sequence))
      ranges.advance(own!, taken.next)
    }
    expect(numbers).toEqual(after.map(({ sequence }) => sequence))
    expect(inbox.notesFrom(1)).toEqual([])
    inbox.close()
    reader.close()
  })

  it('counts what is left, in events and bytes, also after a restart', () => {
    using at = startThinning()
    const { after } = thinSome(at)
    const stored = rowsOf(at.file, 'SELECT sum(length(header) + length(body)) FROM groups')[0]![0]
    const backlog = at.outbox.backlog(null, 0)
    expect([backlog.events, backlog.bytes]).toEqual([after.length, stored])
    const view = openOutboxView(at.file)!
    const groups = [...view.scanGroups(1, ALL)]
    const counts = groups.flatMap(one => (one.kind === 'group' ? one.zones : []))
    expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(after.length)
    const tenth = after.at(-10)!.sequence
    const { sequence, skip: more } = view.findLastEvents(10, undefined)
    const inIt = view.eventsOf(sequence, ALL) as SensorReading[]
    expect(inIt[more]!.sequence).toBe(tenth)
    view.close()
    at.close()
    using again = startKeeping({ lanes }, at.place)
    expect(again.outbox.backlog(null, 0)).toEqual(backlog)
  })

  it('leaves alone what the bridge may have read, and what it has', () => {
    using at = startThinning({ aheadEvents: 200, keep: { hours: 0, bytes: 0 } })
    at.write(10)
    at.see(301)
    at.write(70)
    for (let n = 0; n < 60 && at.thinned().length === 0; n++) at.write(1)
    const first = Math.min(...at.thinned().map(({ from }) => from as number))
    expect(first).toBeGreaterThan(501)
    expect(first).toBeLessThan(600)
  })

  it('is dropped, the oldest first, where thinning does not help', () => {
    using at = startThinning({ bounds: { events: 1000 } })
    expect(at.write(50)).toBe(null)
    const dropped = at.tombstones().filter(({ numbers }) => numbers === undefined)
    expect(dropped.length).toBeGreaterThan(0)
    expect(at.sequences().length).toBeLessThanOrEqual(1041)
    at.outbox.writeZoneHeads()
    expect(verdictOf(at.file)).toMatchObject({ missing: 0, awaited: 0 })
  })
})

describe('what arrived although it was thinned', () => {
  it('counts as arrived', () => {
    using at = startThinning()
    const { before, after } = thinSome(at)
    at.outbox.writeZoneHeads()
    const read = before.slice(0, 500)
    const kept = new Set([...read, ...after].map(({ sequence }) => sequence))
    const { events, explained, missing, duplicates } = verdictOf(at.file, read)
    expect([events, missing]).toEqual([kept.size, 0])
    expect(explained).toBe(at.outbox.lastSequence - kept.size)
    expect(duplicates).toBeGreaterThan(0)
  })

  it('and what is left and did not arrive is missing, not explained', () => {
    using at = startThinning()
    const { after } = thinSome(at)
    at.outbox.writeZoneHeads()
    const lost = after[20]!
    const verdict = verdictOf(at.file, [], one => one.sequence !== lost.sequence)
    expect(verdict).toMatchObject({ missing: 1 })
    expect(verdict.holes.filter(({ fate }) => fate === 'missing')).toMatchObject([
      { zone: lost.zone, from: lost.zoneSequence, to: lost.zoneSequence },
    ])
  })
})
