import { describe, expect, it } from 'vitest'
import { fromInbox, gatewayWith, note, STORE, told, without } from './gateway-fixture.ts'

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

  it('as a refusal, though all that is known of the event is its sequence and zone', () => {
    const nobodyKnows = { epoch: null, zoneSequence: null }
    const content = { ...nobodyKnows, sequence: 2, zone: 'b', reason: 'MESSAGE_TOO_LARGE' }
    const conclusion = told([...notes, ...without(events, 2, 2), fromInbox('rejected', content)])
    expect(conclusion).toMatchObject({ explained: 1, missing: 0, state: 'complete' })
    expect(conclusion.holes).toMatchObject([
      { epoch: 1, zone: 'b', from: 1, to: 1, fate: 'rejected', reason: 'MESSAGE_TOO_LARGE' },
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
    ['salvage', { lostNotes: [{ from: 5, to: 7 }] }, { origin: 'inbox', from: 5, to: 7 }],
    ['heads', { reason: 'note checksum differs' }, { origin: 'inbox', from: 1, to: 1 }],
    ['deadletter', { reason: 'note checksum differs' }, { origin: 'inbox', from: 1, to: 1 }],
    ['jump', { origin: 'outbox', notes: { from: 5, to: 7 } }, { origin: 'outbox', from: 5, to: 7 }],
    ['jump', { origin: 'inbox', notes: { from: 5, to: 7 } }, { origin: 'inbox', from: 5, to: 7 }],
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
    expect(conclusion).toMatchObject({ unproven: 0, forgotten: 0 })
    expect(conclusion.holes).toMatchObject([
      { epoch: 2, zone: 'a', from: 2, to: 2, fate: 'hole' },
      { epoch: 2, zone: 'b', from: 1, to: 1, fate: 'hole' },
    ])
  })

  it('claims nothing of what it has forgotten, and that is told apart', () => {
    const gateway = gatewayWith('aaaa')
    const previous = { epoch: 1, lastSequence: 2, zones: [['a', 2]] }
    const third = { epoch: 3, firstSequence: 3, previous }
    const { nowMs: at } = gateway
    // It counts its notes from where they were.
    const again = note('epoch', third, { sequence: 1, at: at + 1, heardAt: at + 1 })
    const own = { ...gateway.events[2]!, epoch: 3, zoneSequence: 1 }
    const all = [...gateway.notes, ...gateway.events, again, own]
    expect(told(all)).toMatchObject({ unproven: 3, forgotten: 2 })
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
