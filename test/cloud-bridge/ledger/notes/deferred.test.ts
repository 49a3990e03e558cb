import { describe, expect, it } from 'vitest'
import type { LedgerNote } from '../../../../cloud-bridge/ledger/notes/notes.ts'
import { createReport } from '../../../../cloud-bridge/ledger/report.ts'
import {
  assess,
  gatewayWith,
  inboxNote,
  note,
  START_MS,
  STORE,
  without,
} from '../gateway-fixture.ts'

/** A note of an inbox, by its number. */
const fromInbox = (
  sequence: number,
  kind: string,
  content: object = {},
  store = 'bb',
): LedgerNote => note(kind, { store: STORE, ...content }, { store, origin: 'inbox', sequence })
const backlog = (from: number, to: number | null) => ({ from, to, topic: 'backfill' })

describe('deferred numbers', () => {
  const gatewayOfThreeZones = () => {
    const gateway = gatewayWith('abcabcabc')
    gateway.heartbeat()
    return gateway
  }

  it('are awaited, and no claim above them is proven', () => {
    const { notes, events } = gatewayOfThreeZones()
    const arrivals = [...notes, ...without(events, 2, 3, 4, 5)]
    expect(assess(arrivals)).toMatchObject({ missing: 4, awaited: 0, state: 'unproven' })
    const deferral = fromInbox(1, 'behind', backlog(1, 5))
    // Only the start of the gateway is proven.
    const awaited = { missing: 0, awaited: 4, time: START_MS }
    expect(assess([deferral, ...arrivals])).toMatchObject(awaited)
    const later = assess([deferral, ...arrivals], { nowMs: START_MS + 31_000 })
    expect(later).toMatchObject({ ...awaited, state: 'unproven' })
    const all = assess([deferral, ...arrivals, ...events])
    expect(all).toMatchObject({ missing: 0, awaited: 0, state: 'complete' })
  })

  it('are missing once a note says that their range was delivered', () => {
    const { notes, events } = gatewayOfThreeZones()
    const deferred = [fromInbox(1, 'behind', backlog(1, 5)), ...notes, ...without(events, 3)]
    expect(assess(deferred)).toMatchObject({ missing: 0, awaited: 1 })
    const done = fromInbox(2, 'caught up', { behind: 1, from: 1, to: 5 })
    expect(assess([...deferred, done])).toMatchObject({ missing: 1, awaited: 0 })
    // Notes are delivered at least once, and not always in order.
    expect(assess([...deferred, done, deferred[0]!])).toMatchObject({ missing: 1, awaited: 0 })
    expect(assess([done, ...deferred])).toMatchObject({ missing: 1, awaited: 0 })
  })

  it('excuse no other numbers', () => {
    const gateway = gatewayWith('aaabbbccc')
    gateway.heartbeat()
    const { notes, events } = gateway
    const arrivals = [fromInbox(1, 'behind', backlog(4, 6)), ...notes, ...without(events, 2, 5, 8)]
    const { missing, awaited, holes } = assess(arrivals)
    expect([missing, awaited]).toEqual([2, 1])
    const fates = holes.map(({ zone, from, fate }) => [zone, from, fate])
    expect(fates).toEqual([
      ['a', 2, 'missing'],
      ['b', 2, 'behind'],
      ['c', 2, 'missing'],
    ])
  })

  it('are called missing if a gap can be theirs or a lost one', () => {
    const { notes, events } = gatewayOfThreeZones()
    const arrivals = [fromInbox(1, 'behind', backlog(4, 6)), ...notes, ...without(events, 2, 4)]
    expect(assess(arrivals)).toMatchObject({ missing: 2, awaited: 0 })
  })

  it('can be a range without an end', () => {
    const { notes, events } = gatewayOfThreeZones()
    const arrivals = [
      fromInbox(1, 'behind', backlog(4, null)),
      ...notes,
      ...without(events, 2, 5, 9),
    ]
    expect(assess(arrivals)).toMatchObject({ missing: 1, awaited: 2 })
  })

  it('are missing when the inbox that deferred them is gone', () => {
    const { notes, events } = gatewayOfThreeZones()
    const deferred = [fromInbox(1, 'behind', backlog(1, 5)), ...notes, ...without(events, 3)]
    const otherInbox = fromInbox(1, 'contact', {}, 'cc')
    expect(assess([...deferred, otherInbox])).toMatchObject({ missing: 1, awaited: 0 })
    const deferral = fromInbox(2, 'behind', backlog(1, 9), 'cc')
    expect(assess([...deferred, otherInbox, deferral])).toMatchObject({ missing: 0, awaited: 1 })
  })

  it('are awaited while their inbox lists them at each start', () => {
    const { notes, events } = gatewayOfThreeZones()
    const deferred = [fromInbox(1, 'behind', backlog(1, 5)), ...notes, ...without(events, 3)]
    const listed = fromInbox(2, 'contact', { behind: [{ behind: 1, from: 1, to: 5 }] })
    expect(assess([...deferred, listed])).toMatchObject({ missing: 0, awaited: 1 })
    const unlisted = fromInbox(3, 'contact', { behind: [] })
    expect(assess([...deferred, listed, unlisted])).toMatchObject({ missing: 1, awaited: 0 })
  })

  it('can be reported under a reused note number, by a restored inbox', () => {
    const { notes, events } = gatewayOfThreeZones()
    const first = fromInbox(1, 'behind', backlog(1, 2))
    const done = fromInbox(2, 'caught up', { behind: 1, from: 1, to: 2 })
    const reused = fromInbox(1, 'behind', backlog(3, 5))
    const all = [first, done, reused, ...notes, ...without(events, 4)]
    expect(assess(all)).toMatchObject({ missing: 0, awaited: 1 })
  })

  it('that a note explains are not awaited', () => {
    const { notes, events } = gatewayOfThreeZones()
    const explanation = fromInbox(2, 'jump', { from: 2, to: 3, reason: 'gone' })
    const deferred = [
      fromInbox(1, 'behind', backlog(1, 5)),
      explanation,
      ...notes,
      ...without(events, 2, 3),
    ]
    expect(assess(deferred)).toMatchObject({ missing: 0, awaited: 0, explained: 2 })
  })
})

describe('a gap that can be deferred numbers or explained ones', () => {
  const gateway = gatewayWith('bcb')
  const behind = (from: number, to: number) => inboxNote('behind', { from, to, why: 'backlog' })
  const verdictOf = (found: ReturnType<typeof assess>) => createReport([found], 0, 0).verdict

  it('does not hide what a note explains', () => {
    const jump = inboxNote('jump', { from: 1, to: 1, reason: 'not there' })
    const left = [...gateway.notes, jump, behind(2, 2), gateway.events[2]!]
    const found = assess(left)
    expect(found).toMatchObject({ explained: 1, awaited: 1, missing: 0 })
    expect(verdictOf(found)).toBe('incomplete')
  })

  it('does not hide what an operator retired', () => {
    const content = { stores: [STORE], reason: 'broken' }
    const retired = note('retired', content, { origin: 'operator', at: START_MS + 1500 })
    const claim = note('heads', { epoch: 1, lastSequence: 1, zones: [['b', 1]] }, { sequence: 2 })
    const left = [...gateway.notes, claim, retired, behind(1, 2), gateway.events[2]!]
    const found = assess(left)
    expect(found).toMatchObject({ awaited: 1, missing: 0, retired: [{ numbers: 1 }] })
    expect(verdictOf(found)).toBe('incomplete')
  })
})
