import { describe, expect, it } from 'vitest'
import { assess, gatewayWith, ledgerOf, note, START_MS, STORE, without } from './gateway-fixture.ts'

describe('a gateway is', () => {
  it('complete up to its newest heartbeat, also with newer events', () => {
    const gateway = gatewayWith('aba')
    const heartbeat = gateway.heartbeat()
    gateway.event('a')
    const { notes, events } = gateway
    const counts = { events: 4, duplicates: 0, missing: 0, awaited: 0, explained: 0, expired: 0 }
    expect(assess([...notes, ...events])).toEqual({
      ...{ gateway: 'gw', state: 'complete', time: heartbeat.at, heardAt: heartbeat.appendTimeMs },
      ...{ strange: 0, holes: [], lostNotes: [], ...counts, unproven: 1, forgotten: 0 },
      ...{ conflicting: 0, conflicts: [], problems: [], retired: [] },
      stores: [
        {
          ...{ store: STORE, state: 'complete', runs: [1] },
          ...{ heardFrom: START_MS, heardTo: events.at(-1)!.appendTimeMs },
        },
      ],
    })
  })

  it('unproven since the heartbeat before, when its events do not arrive', () => {
    const gateway = gatewayWith('ab')
    const heartbeat = gateway.heartbeat()
    for (const zone of 'a'.repeat(60)) gateway.event(zone)
    gateway.heartbeat()
    const { notes, events } = gateway
    const late = assess([...notes, ...events.slice(0, 2)])
    expect(late).toMatchObject({ state: 'unproven', time: heartbeat.at, awaited: 60, missing: 0 })
    const soon = gatewayWith('ab')
    const proven = soon.heartbeat()
    for (const zone of 'a'.repeat(9)) soon.event(zone)
    soon.heartbeat()
    const found = assess([...soon.notes, ...soon.events.slice(0, 2)])
    expect(found).toMatchObject({ state: 'complete', time: proven.at, awaited: 9 })
  })

  it('unproven since before the first gap, even if later parts are complete', () => {
    const gateway = gatewayWith('ab')
    const heartbeat = gateway.heartbeat()
    gateway.event('a')
    gateway.start()
    gateway.event('a')
    gateway.heartbeat()
    const { notes, events } = gateway
    const assessment = assess([...notes, ...without(events, 3)])
    expect(assessment).toMatchObject({ state: 'unproven', time: heartbeat.at, missing: 1 })
  })

  it('unproven when events arrive without heartbeats', () => {
    const gateway = gatewayWith('ab')
    const heartbeat = gateway.heartbeat()
    for (const zone of 'a'.repeat(60)) gateway.event(zone)
    const { notes, events } = gateway
    expect(assess([...notes, ...events])).toMatchObject({ state: 'unproven', time: heartbeat.at })
    expect(assess(events)).toMatchObject({ state: 'unproven', time: null })
  })

  it('silent since its newest heartbeat, after the limit', () => {
    const gateway = gatewayWith('ab')
    const { at } = gateway.heartbeat()
    const all = [...gateway.notes, ...gateway.events]
    expect(assess(all, { nowMs: at + 30_000 })).toMatchObject({ state: 'complete', time: at })
    expect(assess(all, { nowMs: at + 30_001 })).toMatchObject({ state: 'silent', time: at })
  })
})

describe('a gap', () => {
  it('has its zone, its numbers, and the times of its neighbours', () => {
    const gateway = gatewayWith('abaaab')
    gateway.heartbeat()
    const [, , , , fifth] = gateway.events
    const { holes, missing } = assess([...gateway.notes, ...without(gateway.events, 3, 4)])
    expect(missing).toBe(2)
    expect(holes).toEqual([
      {
        ...{ gateway: 'gw', epoch: 1, zone: 'a', from: 2, to: 3, fate: 'missing' },
        ...{ timeFrom: START_MS + 1000, timeTo: fifth!.receivedAt, reason: 'no note explains it' },
      },
    ])
  })

  it('is missing when a later number of its zone or a full batch arrived, else awaited', () => {
    const gateway = gatewayWith('abbbba')
    gateway.heartbeat()
    const fates = (inFlightMaxEvents: number, ...sequences: number[]) =>
      assess([...gateway.notes, ...without(gateway.events, ...sequences)], { inFlightMaxEvents }) //
        .holes.map(({ fate, zone, from }) => `${fate} ${zone}${from}`)
    expect(fates(3, 4)).toEqual(['missing b3'])
    expect(fates(3, 6)).toEqual(['awaited a2'])
    expect(fates(3, 1, 6)).toEqual(['missing a1', 'awaited a2'])
    expect(fates(100, 1, 6)).toEqual(['awaited a1'])
  })

  it('is named by sequence when the zone is unknown', () => {
    const gateway = gatewayWith('ab')
    const heads = note('heads', { epoch: 1, lastSequence: 3, zones: [['a', 1]] })
    const { holes } = assess([...gateway.notes, heads, ...gateway.events])
    expect(holes).toMatchObject([{ zone: null, from: 3, to: 3, fate: 'awaited' }])
  })

  it('shows in the zone sequence when another event has its sequence', () => {
    const gateway = gatewayWith('ab')
    gateway.heartbeat()
    const other = { ...gateway.events[1]!, zoneSequence: 1, zone: 'a' }
    const { holes, strange, state } = assess([...gateway.notes, gateway.events[0]!, other])
    expect([strange, state]).toEqual([1, 'unproven'])
    expect(holes).toMatchObject([{ zone: 'b', from: 1, to: 1, fate: 'missing' }])
  })
})

describe('the account', () => {
  it('does not grow with events, and forgets the zones of a complete closed epoch', () => {
    const gateway = gatewayWith('abc'.repeat(5000))
    gateway.start()
    gateway.event('d')
    const ledger = ledgerOf([...gateway.events, ...gateway.notes])
    const [first, second] = [...ledger.gateways.get('gw')!.epochs.values()]
    expect(first!.seen.spans).toEqual([[1, 15_000]])
    expect([first!.zones.all.size, second!.zones.all.size]).toEqual([0, 1])
  })

  it('still recognises a late duplicate and a new event', () => {
    const gateway = gatewayWith('ab')
    gateway.start()
    const { notes, events } = gateway
    const more = { ...events[1]!, sequence: 3, zoneSequence: 2 }
    const late = [...notes, ...events, events[0]!, more, more]
    expect(assess(late)).toMatchObject({ events: 3, duplicates: 2, holes: [], strange: 0 })
  })

  it('merges adjacent tombstones into one', () => {
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
    const ledger = ledgerOf([...gateway.notes, ...stones, ...stones])
    expect(ledger.gateways.get('gw')!.explanations.get(STORE)).toHaveLength(1)
    const { holes } = assess([...gateway.notes, ...stones])
    expect(holes).toMatchObject([
      { zone: 'a', from: 1, to: 500, fate: 'tombstone' },
      { zone: 'b', from: 1, to: 500, fate: 'tombstone' },
    ])
  })
})
