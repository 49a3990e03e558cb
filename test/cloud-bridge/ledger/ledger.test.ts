import { describe, expect, it } from 'vitest'
import { gatewayWith, ledgerOf, note, START_MS, STORE, told, without } from './gateway-fixture.ts'

describe('a gateway is', () => {
  it('complete up to its newest heartbeat, also when more came since', () => {
    const gateway = gatewayWith('aba')
    const beat = gateway.beat()
    gateway.event('a')
    const { notes, events } = gateway
    const counts = { events: 4, duplicates: 0, missing: 0, awaited: 0, explained: 0, expired: 0 }
    expect(told([...notes, ...events])).toEqual({
      ...{ gateway: 'gw', state: 'complete', time: beat.at, heardAt: beat.heardAt },
      ...{ strange: 0, holes: [], lostNotes: [], ...counts, unproven: 1, forgotten: 0 },
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
    const soon = gatewayWith('ab')
    const proven = soon.beat()
    for (const zone of 'a'.repeat(9)) soon.event(zone)
    soon.beat()
    const found = told([...soon.notes, ...soon.events.slice(0, 2)])
    expect(found).toMatchObject({ state: 'complete', time: proven.at, awaited: 9 })
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
})

describe('what is kept', () => {
  it('does not grow with events, and of a closed run that is whole there is little', () => {
    const gateway = gatewayWith('abc'.repeat(5000))
    gateway.start()
    gateway.event('d')
    const ledger = ledgerOf([...gateway.events, ...gateway.notes])
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
    const ledger = ledgerOf([...gateway.notes, ...stones, ...stones])
    expect(ledger.gateways.get('gw')!.explanations.get(STORE)).toHaveLength(1)
    const { holes } = told([...gateway.notes, ...stones])
    expect(holes).toMatchObject([
      { zone: 'a', from: 1, to: 500, fate: 'tombstone' },
      { zone: 'b', from: 1, to: 500, fate: 'tombstone' },
    ])
  })
})
