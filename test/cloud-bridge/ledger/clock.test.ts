import { describe, expect, it } from 'vitest'
import { gatewayWith, note, START_MS, told } from './gateway-fixture.ts'

const YEARS_MS = 50 * 31_557_600_000
const DAY_MS = 86_400_000
/** A heartbeat that claims so many events of zone a. */
const beat = (last: number, sequence: number, at: number, heardAt: number) =>
  note('heads', { epoch: 1, lastSequence: last, zones: [['a', last]] }, { sequence, at, heardAt })
const { notes, events } = gatewayWith('aa')
const [first, second] = events
const heardAt = second!.heardAt

describe('whatever the clock of a gateway says', () => {
  it('a dead one is not complete, because it once was 50 years ahead', () => {
    const ahead = beat(1, 2, first!.receivedAt + YEARS_MS, first!.heardAt)
    const right = beat(2, 3, heardAt, heardAt)
    const all = [...notes, ...events, ahead, right]
    expect(told(all, { nowMs: heardAt + 1000 })).toMatchObject({ state: 'complete', time: heardAt })
    const late = { nowMs: heardAt + 365 * DAY_MS }
    expect(told(all, late)).toMatchObject({ state: 'silent', time: heardAt })
    expect(told([...notes, first!, ahead], late)).toMatchObject({ state: 'silent' })
  })

  it('nobody is complete up to a moment that is yet to come', () => {
    const ahead = beat(2, 2, heardAt + YEARS_MS, heardAt)
    const told2076 = told([...notes, ...events, ahead], { nowMs: heardAt + 1000 })
    expect(told2076).toMatchObject({ state: 'unproven', time: ahead.at, heardAt })
    // A topic with CreateTime has the clock of the edge, too.
    const created = beat(2, 2, heardAt + YEARS_MS, heardAt + YEARS_MS)
    const nowMs = heardAt + 1000
    expect(told([...notes, ...events, created], { nowMs }).state).not.toBe('complete')
  })

  it('one that is heard is not silent, though its clock begins in 1970', () => {
    const start = note('epoch', { epoch: 1, firstSequence: 1 }, { at: 5000, heardAt: START_MS })
    const old = events.map(event => ({ ...event, receivedAt: 6000 + event.sequence }))
    const all = [start, ...old, beat(2, 2, 7000, heardAt)]
    expect(told(all)).toMatchObject({ state: 'complete', time: 7000, heardAt })
    expect(told(all, { nowMs: heardAt + 30_001 })).toMatchObject({ state: 'silent', time: 7000 })
  })

  it('the newest proven heartbeat is the one heard last, also of those that came at once', () => {
    const ahead = beat(1, 2, first!.receivedAt + 20_000, heardAt)
    const right = beat(2, 3, first!.receivedAt + 10_000, heardAt)
    for (const order of [
      [ahead, right],
      [right, ahead],
      [ahead, right, { ...ahead, heardAt: heardAt + 9000 }],
      [ahead, right, { ...right, heardAt: heardAt + 9000 }],
      [{ ...right, heardAt: heardAt + 9000 }, right, ahead],
      [{ ...ahead, heardAt: heardAt + 9000 }, right, ahead],
    ]) {
      const found = told([...notes, ...events, ...order], { nowMs: heardAt + 1000 })
      expect(found).toMatchObject({ state: 'complete', time: right.at, heardAt })
    }
  })

  it('the newest proven run is the one heard last', () => {
    const gateway = gatewayWith('aa')
    const ahead = beat(2, 2, gateway.nowMs + 20_000, gateway.nowMs)
    gateway.start()
    gateway.event('a')
    const right = gateway.beat()
    const found = told([...gateway.notes, ahead, ...gateway.events])
    expect(found).toMatchObject({ state: 'complete', time: right.at })
  })

  it('events that wait are known of, when all the heartbeats of an outage come at once', () => {
    const then = beat(1, 2, START_MS, heardAt)
    const now = beat(900, 3, START_MS + DAY_MS, heardAt)
    const found = told([...notes, first!, then, now], { nowMs: heardAt + 1000 })
    expect(found).toMatchObject({ state: 'unproven', time: then.at })
  })

  it('counts events that came behind the last heartbeat of their run, and only those', () => {
    const gateway = gatewayWith('ab')
    expect(told([...gateway.notes, ...gateway.events])).toMatchObject({ unproven: 2 })
    gateway.beat()
    expect(told([...gateway.notes, ...gateway.events])).toMatchObject({ unproven: 0 })
    for (const zone of 'abc') gateway.event(zone)
    expect(told([...gateway.notes, ...gateway.events])).toMatchObject({ unproven: 3 })
    gateway.start()
    gateway.event('a')
    expect(told([...gateway.notes, ...gateway.events])).toMatchObject({ unproven: 1 })
  })
})
