import { describe, expect, it } from 'vitest'
import type { LedgerNote } from '../../../cloud-bridge/ledger/notes.ts'
import { gatewayWith, note, STORE, told, without } from './gateway-fixture.ts'

/** What an inbox tells, by the number of its note. */
const said = (sequence: number, kind: string, content: object = {}, store = 'bb'): LedgerNote =>
  note(kind, { store: STORE, ...content }, { store, origin: 'inbox', sequence })
const backlog = (from: number, to: number | null) => ({ from, to, topic: 'backfill' })

describe('numbers that come behind newer ones', () => {
  const of = () => {
    const gateway = gatewayWith('abcabcabc')
    gateway.beat()
    return gateway
  }

  it('are awaited, and no claim above them is proven', () => {
    const { notes, events } = of()
    const arrivals = [...notes, ...without(events, 2, 3, 4, 5)]
    expect(told(arrivals)).toMatchObject({ missing: 4, awaited: 0, state: 'unproven' })
    const behind = said(1, 'behind', backlog(1, 5))
    expect(told([behind, ...arrivals])).toMatchObject({ missing: 0, awaited: 4, state: 'unproven' })
    const all = told([behind, ...arrivals, ...events])
    expect(all).toMatchObject({ missing: 0, awaited: 0, state: 'complete' })
  })

  it('are missing once it is said that all came', () => {
    const { notes, events } = of()
    const begun = [said(1, 'behind', backlog(1, 5)), ...notes, ...without(events, 3)]
    expect(told(begun)).toMatchObject({ missing: 0, awaited: 1 })
    const done = said(2, 'caught up', { behind: 1, from: 1, to: 5 })
    expect(told([...begun, done])).toMatchObject({ missing: 1, awaited: 0 })
    // Notes come at least once, and not always in their order.
    expect(told([...begun, done, begun[0]!])).toMatchObject({ missing: 1, awaited: 0 })
    expect(told([done, ...begun])).toMatchObject({ missing: 1, awaited: 0 })
  })

  it('excuse no others', () => {
    const gateway = gatewayWith('aaabbbccc')
    gateway.beat()
    const { notes, events } = gateway
    const arrivals = [said(1, 'behind', backlog(4, 6)), ...notes, ...without(events, 2, 5, 8)]
    const { missing, awaited, holes } = told(arrivals)
    expect([missing, awaited]).toEqual([2, 1])
    const fates = holes.map(({ zone, from, fate }) => [zone, from, fate])
    expect(fates).toEqual([
      ['a', 2, 'missing'],
      ['b', 2, 'behind'],
      ['c', 2, 'missing'],
    ])
  })

  it('are called missing where they may be what is missing', () => {
    const { notes, events } = of()
    const arrivals = [said(1, 'behind', backlog(4, 6)), ...notes, ...without(events, 2, 4)]
    expect(told(arrivals)).toMatchObject({ missing: 2, awaited: 0 })
  })

  it('may have no end yet', () => {
    const { notes, events } = of()
    const arrivals = [said(1, 'behind', backlog(4, null)), ...notes, ...without(events, 2, 5, 9)]
    expect(told(arrivals)).toMatchObject({ missing: 1, awaited: 2 })
  })

  it('are missing when the inbox that would bring them is gone', () => {
    const { notes, events } = of()
    const begun = [said(1, 'behind', backlog(1, 5)), ...notes, ...without(events, 3)]
    const anew = said(1, 'contact', {}, 'cc')
    expect(told([...begun, anew])).toMatchObject({ missing: 1, awaited: 0 })
    const again = said(2, 'behind', backlog(1, 9), 'cc')
    expect(told([...begun, anew, again])).toMatchObject({ missing: 0, awaited: 1 })
  })

  it('are awaited while their inbox names them whenever it begins', () => {
    const { notes, events } = of()
    const begun = [said(1, 'behind', backlog(1, 5)), ...notes, ...without(events, 3)]
    const still = said(2, 'contact', { behind: [{ behind: 1, from: 1, to: 5 }] })
    expect(told([...begun, still])).toMatchObject({ missing: 0, awaited: 1 })
    const nothing = said(3, 'contact', { behind: [] })
    expect(told([...begun, still, nothing])).toMatchObject({ missing: 1, awaited: 0 })
  })

  it('may be told under a number that was used before, by an inbox that was restored', () => {
    const { notes, events } = of()
    const first = said(1, 'behind', backlog(1, 2))
    const done = said(2, 'caught up', { behind: 1, from: 1, to: 2 })
    const again = said(1, 'behind', backlog(3, 5))
    const all = [first, done, again, ...notes, ...without(events, 4)]
    expect(told(all)).toMatchObject({ missing: 0, awaited: 1 })
  })

  it('that are gone for a reason are not awaited', () => {
    const { notes, events } = of()
    const gone = said(2, 'jump', { from: 2, to: 3, reason: 'gone' })
    const begun = [said(1, 'behind', backlog(1, 5)), gone, ...notes, ...without(events, 2, 3)]
    expect(told(begun)).toMatchObject({ missing: 0, awaited: 0, explained: 2 })
  })
})
