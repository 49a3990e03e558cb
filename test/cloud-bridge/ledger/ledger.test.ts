import { describe, expect, it } from 'vitest'
import { type ConcludeOptions, conclude } from '../../../cloud-bridge/ledger/conclude.ts'
import { type LedgerEvent, startLedger } from '../../../cloud-bridge/ledger/ledger.ts'
import type { LedgerNote } from '../../../cloud-bridge/ledger/notes.ts'
import { note, START_MS, STORE, startGateway } from './gateway-fixture.ts'

const of = (arrivals: (LedgerEvent | LedgerNote)[]) => {
  const ledger = startLedger()
  for (const one of arrivals) 'kind' in one ? ledger.addNote(one) : ledger.addEvent(one)
  return ledger
}
/** What the ledger says right after the last of these, of the one gateway there is. */
function told(arrivals: (LedgerEvent | LedgerNote)[], more: Partial<ConcludeOptions> = {}) {
  const atMs = arrivals.map(one => ('kind' in one ? one.at : one.receivedAt))
  const options = { nowMs: Math.max(...atMs), silentAfterMs: 30_000, inFlightMaxEvents: 0, ...more }
  return conclude(of(arrivals).gateways.values(), options)[0]!
}
const fromInbox = (kind: string, content: object) =>
  note(kind, { store: STORE, ...content }, { store: 'bb', origin: 'inbox' })

/** A gateway that was started and had these events, in order of their zones' letters. */
function gatewayWith(zones: string) {
  const gateway = startGateway()
  gateway.start()
  for (const zone of zones) gateway.event(zone)
  return gateway
}
const without = (all: LedgerEvent[], ...sequences: number[]) =>
  all.filter(({ sequence }) => !sequences.includes(sequence))

describe('a gateway is', () => {
  it('complete up to its newest heartbeat, also when more came since', () => {
    const gateway = gatewayWith('aba')
    const beat = gateway.beat()
    gateway.event('a')
    const { notes, events } = gateway
    const counts = { events: 4, duplicates: 0, missing: 0, awaited: 0, explained: 0, expired: 0 }
    expect(told([...notes, ...events])).toEqual({
      ...{ gateway: 'gw', state: 'complete', time: beat.at, strange: 0, holes: [], lostNotes: [] },
      ...counts,
    })
  })

  it('unproven since the heartbeat before, when its events do not come', () => {
    const gateway = gatewayWith('ab')
    const beat = gateway.beat()
    for (const zone of 'a'.repeat(60)) gateway.event(zone)
    gateway.beat()
    const { notes, events } = gateway
    const late = told([...notes, ...events.slice(0, 2)])
    expect(late).toMatchObject({ state: 'unproven', time: beat.at, awaited: 60, missing: 0 })
    const soon = told([...notes, ...events.slice(0, 2)], { nowMs: beat.at + 9000 })
    expect(soon).toMatchObject({ state: 'complete', time: beat.at })
  })

  it('unproven since before the first hole, whatever was whole later', () => {
    const gateway = gatewayWith('ab')
    const beat = gateway.beat()
    gateway.event('a')
    gateway.start()
    gateway.event('a')
    gateway.beat()
    const { notes, events } = gateway
    const conclusion = told([...notes, ...without(events, 3)])
    expect(conclusion).toMatchObject({ state: 'unproven', time: beat.at, missing: 1 })
  })

  it('unproven when events come and heartbeats do not', () => {
    const gateway = gatewayWith('ab')
    const beat = gateway.beat()
    for (const zone of 'a'.repeat(60)) gateway.event(zone)
    const { notes, events } = gateway
    expect(told([...notes, ...events])).toMatchObject({ state: 'unproven', time: beat.at })
    expect(told(events)).toMatchObject({ state: 'unproven', time: null })
  })

  it('silent since its newest heartbeat, after the limit', () => {
    const gateway = gatewayWith('ab')
    const { at } = gateway.beat()
    const all = [...gateway.notes, ...gateway.events]
    expect(told(all, { nowMs: at + 30_000 })).toMatchObject({ state: 'complete', time: at })
    expect(told(all, { nowMs: at + 30_001 })).toMatchObject({ state: 'silent', time: at })
  })
})

describe('a hole', () => {
  it('has its zone, its numbers, and the times of its neighbours', () => {
    const gateway = gatewayWith('abaaab')
    gateway.beat()
    const [, , , , fifth] = gateway.events
    const { holes, missing } = told([...gateway.notes, ...without(gateway.events, 3, 4)])
    expect(missing).toBe(2)
    expect(holes).toEqual([
      {
        ...{ gateway: 'gw', epoch: 1, zone: 'a', from: 2, to: 3, fate: 'missing' },
        ...{ timeFrom: START_MS + 1000, timeTo: fifth!.receivedAt, reason: 'no note explains it' },
      },
    ])
  })

  it('is missing when a later one of its zone came, or a whole batch; else it may be on its way', () => {
    const gateway = gatewayWith('abbbba')
    gateway.beat()
    const fates = (inFlightMaxEvents: number, ...sequences: number[]) =>
      told([...gateway.notes, ...without(gateway.events, ...sequences)], { inFlightMaxEvents }) //
        .holes.map(({ fate, zone, from }) => `${fate} ${zone}${from}`)
    expect(fates(3, 4)).toEqual(['missing b3'])
    expect(fates(3, 6)).toEqual(['awaited a2'])
    expect(fates(3, 1, 6)).toEqual(['missing a1', 'awaited a2'])
    expect(fates(100, 1, 6)).toEqual(['awaited a1'])
  })

  it('is named by sequence when no zone is known', () => {
    const gateway = gatewayWith('ab')
    const heads = note('heads', { epoch: 1, lastSequence: 3, zones: [['a', 1]] })
    const { holes } = told([...gateway.notes, heads, ...gateway.events])
    expect(holes).toMatchObject([{ zone: null, from: 3, to: 3, fate: 'awaited' }])
  })

  it('shows in the zone sequence when another event took the sequence', () => {
    const gateway = gatewayWith('ab')
    gateway.beat()
    const stray = { ...gateway.events[1]!, zoneSequence: 1, zone: 'a' }
    const { holes, strange, state } = told([...gateway.notes, gateway.events[0]!, stray])
    expect([strange, state]).toEqual([1, 'unproven'])
    expect(holes).toMatchObject([{ zone: 'b', from: 1, to: 1, fate: 'missing' }])
  })

  it('is not judged where Kafka has deleted what is old', () => {
    const gateway = gatewayWith('abababab')
    gateway.beat()
    const [, , , , fifth] = gateway.events
    const rest = without(gateway.events, 1, 2, 3, 4, 7)
    const conclusion = told([...gateway.notes, ...rest], { expiredBefore: fifth!.receivedAt })
    expect(conclusion).toMatchObject({ expired: 4, missing: 1 })
    expect(conclusion.holes).toMatchObject([{ zone: 'a', from: 4, fate: 'missing' }])
  })
})

describe('a note explains', () => {
  const gateway = gatewayWith('abab')
  gateway.beat()
  const { notes, events } = gateway
  const span = { from: 2, to: 3, reason: 'why' }
  const rest = [...notes, ...without(events, 2, 3)]

  it.each([
    ['jump', span],
    [
      'unreadable',
      {
        ...span,
        zones: [
          { zone: 'b', first: 1, count: 1 },
          { zone: 'a', first: 2, count: 1 },
        ],
      },
    ],
    [
      'tombstone',
      {
        ...span,
        zones: [
          ['b', 1, 1],
          ['a', 2, 1],
        ],
      },
    ],
    [
      'quarantine',
      {
        ...span,
        zones: [
          ['b', 1, 1],
          ['a', 2, 1],
        ],
        epoch: 1,
      },
    ],
  ])('as %s, with or without naming zones, and completeness goes on', (fate, content) => {
    const conclusion = told([...rest, fromInbox(fate, content)])
    expect(conclusion).toMatchObject({ explained: 2, missing: 0, state: 'complete' })
    expect(conclusion.holes).toMatchObject([
      { zone: expect.stringMatching(/a|b/), fate, reason: 'why' },
      { zone: expect.stringMatching(/a|b/), fate, reason: 'why' },
    ])
  })

  it('what it names, but what arrived has arrived', () => {
    expect(told([...notes, ...events, fromInbox('tombstone', span)])).toMatchObject({ holes: [] })
  })

  it('no more than it names, and where that may be either of two it is called missing', () => {
    const longer = gatewayWith('ababab')
    longer.beat()
    const jump = fromInbox('jump', { ...span, to: 2 })
    const clear = told([...longer.notes, ...without(longer.events, 2, 5), jump])
    expect(clear).toMatchObject({ explained: 1, missing: 1, state: 'unproven' })
    expect(clear.holes).toMatchObject([
      { zone: 'a', from: 3, fate: 'missing' },
      { zone: 'b', from: 1, fate: 'jump' },
    ])
    expect(told([...rest, jump])).toMatchObject({ explained: 0, missing: 2 })
  })

  it('no zone sequences when it is of two runs, because each has its own', () => {
    const twice = gatewayWith('abb')
    twice.start()
    for (const zone of 'abba') twice.event(zone)
    twice.beat()
    const zones = [{ zone: 'b', first: 2, count: 3 }]
    const both = fromInbox('tombstone', { from: 3, to: 4, reason: 'full', zones })
    const { holes } = told([...twice.notes, ...without(twice.events, 3, 4), both])
    expect(holes).toMatchObject([
      { epoch: 1, zone: 'b', from: 2, to: 2, fate: 'tombstone' },
      { epoch: 2, zone: 'a', from: 1, to: 1, fate: 'tombstone' },
    ])
  })

  it('best by the most telling of several', () => {
    const both = [fromInbox('jump', { ...span, to: 4 }), fromInbox('tombstone', span)]
    const { holes } = told([...rest, ...both])
    expect(holes.map(({ fate }) => fate)).toEqual(['tombstone', 'tombstone'])
  })

  it('numbers of a run that nobody knows', () => {
    const { holes } = told([fromInbox('tombstone', span)])
    expect(holes).toMatchObject([{ epoch: null, zone: null, from: 2, to: 3, fate: 'tombstone' }])
  })

  it.each([
    ['hole', { notes: { from: 5, to: 7 } }, { origin: 'inbox', from: 5, to: 7 }],
    ['heads', { reason: 'note checksum differs' }, { origin: 'inbox', from: 1, to: 1 }],
    ['rejected note', { origin: 'outbox', sequence: 9 }, { origin: 'outbox', from: 9, to: 9 }],
  ])('as %s that notes are lost', (kind, content, lost) => {
    const given = 'reason' in content ? content : { ...content, store: STORE }
    const made = note(kind, given, { store: STORE, origin: 'inbox' })
    expect(told([...notes, ...events, made, made]).lostNotes).toMatchObject([lost])
  })
})

describe('a restored outbox', () => {
  it('names what it once had by the runs that it has forgotten', () => {
    const gateway = gatewayWith('aaa')
    gateway.start()
    for (const zone of 'aab') gateway.event(zone)
    gateway.beat()
    // The file is that of sequence 2 again; the bell knew of 6.
    const previous = { epoch: 1, lastSequence: 2, zones: [['a', 2]] }
    const third = { gateway: 'gw', epoch: 3, firstSequence: 7, previous }
    const again = note('epoch', third, { sequence: 9, at: gateway.nowMs })
    const hole = note(
      'hole',
      { epoch: 1, from: 3, to: 6, reason: 'seen elsewhere' },
      { sequence: 10 },
    )
    const arrived = without(gateway.events, 5, 6)
    const conclusion = told([...gateway.notes, again, hole, ...arrived])
    expect(conclusion).toMatchObject({ events: 4, explained: 2, missing: 0, state: 'complete' })
    expect(conclusion.holes).toMatchObject([
      { epoch: 2, zone: 'a', from: 2, to: 2, fate: 'hole' },
      { epoch: 2, zone: 'b', from: 1, to: 1, fate: 'hole' },
    ])
  })

  it('may give sequences again under another epoch', () => {
    const gateway = gatewayWith('aaa')
    gateway.beat()
    const previous = { epoch: 1, lastSequence: 1, zones: [['a', 1]] }
    const content = { gateway: 'gw', epoch: 2, firstSequence: 2, previous }
    const again = note('epoch', content, { sequence: 2, at: gateway.nowMs })
    const event = { ...gateway.events[1]!, epoch: 2, zoneSequence: 1 }
    const heads = note('heads', { epoch: 2, lastSequence: 3, zones: [['a', 2]] })
    const conclusion = told([...gateway.notes, ...gateway.events, again, event, heads])
    expect(conclusion).toMatchObject({ events: 4, duplicates: 0, awaited: 1 })
    expect(conclusion.holes).toMatchObject([{ epoch: 2, zone: 'a', from: 2, to: 2 }])
  })
})

describe('what is kept', () => {
  it('does not grow with events, and of a closed run that is whole there is little', () => {
    const gateway = gatewayWith('abc'.repeat(5000))
    gateway.start()
    gateway.event('d')
    const ledger = of([...gateway.events, ...gateway.notes])
    const [first, second] = [...ledger.gateways.get('gw')!.epochs.values()]
    expect(first!.seen.spans).toEqual([[1, 15_000]])
    expect([first!.zones.size, second!.zones.size]).toEqual([0, 1])
  })

  it('still tells a late duplicate, and what is new', () => {
    const gateway = gatewayWith('ab')
    gateway.start()
    const { notes, events } = gateway
    const more = { ...events[1]!, sequence: 3, zoneSequence: 2 }
    const late = [...notes, ...events, events[0]!, more, more]
    expect(told(late)).toMatchObject({ events: 3, duplicates: 2, holes: [], strange: 0 })
  })

  it('takes neighbouring tombstones for one', () => {
    const gateway = gatewayWith('ab'.repeat(500))
    const stones = Array.from({ length: 500 }, (_, at) =>
      note('tombstone', {
        ...{ from: 2 * at + 1, to: 2 * at + 2, epoch: 1, reason: 'full' },
        zones: [
          ['a', at + 1, 1],
          ['b', at + 1, 1],
        ],
      }),
    )
    const ledger = of([...gateway.notes, ...stones, ...stones])
    expect(ledger.gateways.get('gw')!.explanations.get(STORE)).toHaveLength(1)
    const { holes } = told([...gateway.notes, ...stones])
    expect(holes).toMatchObject([
      { zone: 'a', from: 1, to: 500, fate: 'tombstone' },
      { zone: 'b', from: 1, to: 500, fate: 'tombstone' },
    ])
  })
})
