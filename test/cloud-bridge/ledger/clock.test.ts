import { describe, expect, it } from 'vitest'
import { assess, gatewayWith, note, START_MS } from './gateway-fixture.ts'

const YEARS_MS = 50 * 31_557_600_000
const DAY_MS = 86_400_000
/** A heartbeat that claims `last` events of zone a. */
const heartbeat = (last: number, sequence: number, at: number, appendTimeMs: number) =>
  note(
    'heads',
    { epoch: 1, lastSequence: last, zones: [['a', last]] },
    { sequence, at, appendTimeMs },
  )
const { notes, events } = gatewayWith('aa')
const [first, second] = events
const appendTimeMs = second!.appendTimeMs

describe('whatever time the clock of a gateway shows', () => {
  it('a dead gateway whose clock once was 50 years ahead is not complete', () => {
    const ahead = heartbeat(1, 2, first!.receivedAt + YEARS_MS, first!.appendTimeMs)
    const right = heartbeat(2, 3, appendTimeMs, appendTimeMs)
    const all = [...notes, ...events, ahead, right]
    expect(assess(all, { nowMs: appendTimeMs + 1000 })).toMatchObject({
      state: 'complete',
      time: appendTimeMs,
    })
    const late = { nowMs: appendTimeMs + 365 * DAY_MS }
    expect(assess(all, late)).toMatchObject({ state: 'silent', time: appendTimeMs })
    expect(assess([...notes, first!, ahead], late)).toMatchObject({ state: 'silent' })
  })

  it('no gateway is complete up to a moment in the future', () => {
    const ahead = heartbeat(2, 2, appendTimeMs + YEARS_MS, appendTimeMs)
    const in2076 = assess([...notes, ...events, ahead], { nowMs: appendTimeMs + 1000 })
    expect(in2076).toMatchObject({ state: 'unproven', time: ahead.at, heardAt: appendTimeMs })
    // A topic with CreateTime has the edge's clock as append time.
    const created = heartbeat(2, 2, appendTimeMs + YEARS_MS, appendTimeMs + YEARS_MS)
    const nowMs = appendTimeMs + 1000
    expect(assess([...notes, ...events, created], { nowMs }).state).not.toBe('complete')
  })

  it('a gateway with new heartbeats is not silent, although its clock starts in 1970', () => {
    const start = note(
      'epoch',
      { epoch: 1, firstSequence: 1 },
      { at: 5000, appendTimeMs: START_MS },
    )
    const old = events.map(event => ({ ...event, receivedAt: 6000 + event.sequence }))
    const all = [start, ...old, heartbeat(2, 2, 7000, appendTimeMs)]
    expect(assess(all)).toMatchObject({ state: 'complete', time: 7000, heardAt: appendTimeMs })
    expect(assess(all, { nowMs: appendTimeMs + 30_001 })).toMatchObject({
      state: 'silent',
      time: 7000,
    })
  })

  it('the newest proven heartbeat is the last one stored, also within one batch', () => {
    const ahead = heartbeat(1, 2, first!.receivedAt + 20_000, appendTimeMs)
    const right = heartbeat(2, 3, first!.receivedAt + 10_000, appendTimeMs)
    for (const order of [
      [ahead, right],
      [right, ahead],
      [ahead, right, { ...ahead, appendTimeMs: appendTimeMs + 9000 }],
      [ahead, right, { ...right, appendTimeMs: appendTimeMs + 9000 }],
      [{ ...right, appendTimeMs: appendTimeMs + 9000 }, right, ahead],
      [{ ...ahead, appendTimeMs: appendTimeMs + 9000 }, right, ahead],
    ]) {
      const found = assess([...notes, ...events, ...order], { nowMs: appendTimeMs + 1000 })
      expect(found).toMatchObject({ state: 'complete', time: right.at, heardAt: appendTimeMs })
    }
  })

  it('the newest proven epoch is the one whose note was stored last', () => {
    const gateway = gatewayWith('aa')
    const ahead = heartbeat(2, 2, gateway.nowMs + 20_000, gateway.nowMs)
    gateway.start()
    gateway.event('a')
    const right = gateway.heartbeat()
    const found = assess([...gateway.notes, ahead, ...gateway.events])
    expect(found).toMatchObject({ state: 'complete', time: right.at })
  })

  it('waiting events are noticed when all heartbeats of an outage arrive at once', () => {
    const older = heartbeat(1, 2, START_MS, appendTimeMs)
    const newer = heartbeat(900, 3, START_MS + DAY_MS, appendTimeMs)
    const found = assess([...notes, first!, older, newer], { nowMs: appendTimeMs + 1000 })
    expect(found).toMatchObject({ state: 'unproven', time: older.at })
  })

  it('counts exactly the events after the last heartbeat of their epoch', () => {
    const gateway = gatewayWith('ab')
    expect(assess([...gateway.notes, ...gateway.events])).toMatchObject({ unproven: 2 })
    gateway.heartbeat()
    expect(assess([...gateway.notes, ...gateway.events])).toMatchObject({ unproven: 0 })
    for (const zone of 'abc') gateway.event(zone)
    expect(assess([...gateway.notes, ...gateway.events])).toMatchObject({ unproven: 3 })
    gateway.start()
    gateway.event('a')
    expect(assess([...gateway.notes, ...gateway.events])).toMatchObject({ unproven: 1 })
  })
})
