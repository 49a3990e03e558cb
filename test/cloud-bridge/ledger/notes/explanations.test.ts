import { describe, expect, it } from 'vitest'
import { assess, gatewayWith, inboxNote, note, STORE, without } from '../gateway-fixture.ts'

describe('a note explains', () => {
  const gateway = gatewayWith('abab')
  gateway.heartbeat()
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
  ])('numbers as %s, with or without zones, and the gateway stays complete', (fate, content) => {
    const assessment = assess([...rest, inboxNote(fate, content)])
    expect(assessment).toMatchObject({ explained: 2, missing: 0, state: 'complete' })
    expect(assessment.holes).toMatchObject([
      { zone: expect.stringMatching(/a|b/), fate, reason: 'why' },
      { zone: expect.stringMatching(/a|b/), fate, reason: 'why' },
    ])
  })

  it('a rejected event of which only the sequence and zone are known', () => {
    const unknown = { epoch: null, zoneSequence: null }
    const content = { ...unknown, sequence: 2, zone: 'b', reason: 'MESSAGE_TOO_LARGE' }
    const assessment = assess([...notes, ...without(events, 2, 2), inboxNote('rejected', content)])
    expect(assessment).toMatchObject({ explained: 1, missing: 0, state: 'complete' })
    expect(assessment.holes).toMatchObject([
      { epoch: 1, zone: 'b', from: 1, to: 1, fate: 'rejected', reason: 'MESSAGE_TOO_LARGE' },
    ])
  })

  it('nothing that arrived', () => {
    expect(assess([...notes, ...events, inboxNote('tombstone', span)])).toMatchObject({ holes: [] })
  })

  it('no more than it names; an ambiguous gap is called missing', () => {
    const longer = gatewayWith('ababab')
    longer.heartbeat()
    const jump = inboxNote('jump', { ...span, to: 2 })
    const unambiguous = assess([...longer.notes, ...without(longer.events, 2, 5), jump])
    expect(unambiguous).toMatchObject({ explained: 1, missing: 1, state: 'unproven' })
    expect(unambiguous.holes).toMatchObject([
      { zone: 'a', from: 3, fate: 'missing' },
      { zone: 'b', from: 1, fate: 'jump' },
    ])
    expect(assess([...rest, jump])).toMatchObject({ explained: 0, missing: 2 })
  })

  it('no zone sequences when it covers two epochs, because each epoch has its own', () => {
    const twice = gatewayWith('abb')
    twice.start()
    for (const zone of 'abba') twice.event(zone)
    twice.heartbeat()
    const zones = [{ zone: 'b', first: 2, count: 3 }]
    const both = inboxNote('tombstone', { from: 3, to: 4, reason: 'full', zones })
    const { holes } = assess([...twice.notes, ...without(twice.events, 3, 4), both])
    expect(holes).toMatchObject([
      { epoch: 1, zone: 'b', from: 2, to: 2, fate: 'tombstone' },
      { epoch: 2, zone: 'a', from: 1, to: 1, fate: 'tombstone' },
    ])
  })

  it('numbers by the strongest kind of several', () => {
    const both = [inboxNote('jump', { ...span, to: 4 }), inboxNote('tombstone', span)]
    const { holes } = assess([...rest, ...both])
    expect(holes.map(({ fate }) => fate)).toEqual(['tombstone', 'tombstone'])
  })

  it('numbers of an unknown epoch', () => {
    const { holes } = assess([inboxNote('tombstone', span)])
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
  ])('lost notes as %s', (kind, content, lost) => {
    const given = 'reason' in content ? content : { ...content, store: STORE }
    const made = note(kind, given, { store: STORE, origin: 'inbox' })
    expect(assess([...notes, ...events, made, made]).lostNotes).toMatchObject([lost])
  })
})

describe('a restored outbox', () => {
  const forgetful = () => {
    const gateway = gatewayWith('aaa')
    gateway.start()
    for (const zone of 'aab') gateway.event(zone)
    gateway.heartbeat()
    // The restored file ends at sequence 2; the bell recorded 6.
    const previous = { epoch: 1, lastSequence: 2, zones: [['a', 2]] }
    const start = { gateway: 'gw', epoch: 3, firstSequence: 7, previous }
    const third = note('epoch', start, { sequence: 9, at: gateway.nowMs })
    const hole = { epoch: 1, from: 3, to: 6, reason: 'seen elsewhere' }
    return { gateway, third, hole }
  }
  const MINUTES_MS = 400_000

  it('explains numbers of its own branch, and none of the epochs that it forgot', () => {
    const { gateway, third, hole } = forgetful()
    const arrived = without(gateway.events, 3, 5, 6)
    for (const run of [3, undefined]) {
      const written = note('hole', hole, { sequence: 10, ...(run && { run }) })
      const all = [...gateway.notes, third, written, ...arrived]
      const found = assess(all, { nowMs: gateway.nowMs + MINUTES_MS })
      // Number 3 belongs to epoch 1, from which epoch 3 descends.
      expect(found).toMatchObject({ events: 3, explained: run ? 1 : 0, state: 'unproven' })
      expect(found.missing).toBe(run ? 2 : 3)
      expect(found.holes).toMatchObject([
        { epoch: 1, zone: 'a', from: 3, to: 3, fate: run ? 'hole' : 'missing' },
        { epoch: 2, zone: 'a', from: 2, to: 2, fate: 'missing' },
        { epoch: 2, zone: 'b', from: 1, to: 1, fate: 'missing' },
      ])
    }
  })

  it('is not proven while nothing ends the forgotten epoch, although every event arrived', () => {
    const { gateway, third, hole } = forgetful()
    const beat = { epoch: 3, lastSequence: 6, zones: [] }
    const nowMs = gateway.nowMs + MINUTES_MS
    const later = { sequence: 11, at: nowMs, run: 3 }
    const written = [
      third,
      note('hole', hole, { sequence: 10, run: 3 }),
      note('heads', beat, later),
    ]
    const found = assess([...gateway.notes, ...written, ...gateway.events])
    expect(found).toMatchObject({ missing: 0, explained: 0, holes: [], state: 'unproven' })
    expect(found.problems.map(({ kind }) => kind)).toEqual(['two gateways', 'not heard'])
  })

  it('claims nothing of a forgotten epoch; such events are counted as forgotten', () => {
    const gateway = gatewayWith('aaaa')
    const previous = { epoch: 1, lastSequence: 2, zones: [['a', 2]] }
    const start = { epoch: 3, firstSequence: 3, previous }
    const { nowMs: at } = gateway
    // The restored outbox reuses note numbers.
    const third = note('epoch', start, { sequence: 1, at: at + 1, appendTimeMs: at + 1 })
    const own = { ...gateway.events[2]!, epoch: 3, zoneSequence: 1 }
    const all = [...gateway.notes, ...gateway.events, third, own]
    expect(assess(all)).toMatchObject({ unproven: 3, forgotten: 2 })
  })

  it('can reuse sequences in a new epoch', () => {
    const gateway = gatewayWith('aaa')
    gateway.heartbeat()
    const previous = { epoch: 1, lastSequence: 1, zones: [['a', 1]] }
    const content = { gateway: 'gw', epoch: 2, firstSequence: 2, previous }
    const second = note('epoch', content, { sequence: 2, at: gateway.nowMs })
    const event = { ...gateway.events[1]!, epoch: 2, zoneSequence: 1 }
    const heads = note('heads', { epoch: 2, lastSequence: 3, zones: [['a', 2]] })
    const assessment = assess([...gateway.notes, ...gateway.events, second, event, heads])
    expect(assessment).toMatchObject({ events: 4, duplicates: 0, awaited: 1 })
    expect(assessment.holes).toMatchObject([{ epoch: 2, zone: 'a', from: 2, to: 2 }])
  })
})
