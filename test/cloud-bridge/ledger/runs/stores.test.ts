import { describe, expect, it } from 'vitest'
import type { LedgerNote } from '../../../../cloud-bridge/ledger/notes/notes.ts'
import {
  assess,
  createTestGateway,
  gatewayWith,
  note,
  START_MS,
  without,
} from '../gateway-fixture.ts'

const LATER_MS = 60_000
type Arrivals = Parameters<typeof assess>[0]
const kindsOf = (arrivals: Arrivals, nowMs: number) => {
  const { state, problems } = assess(arrivals, { nowMs })
  return [state, ...problems.map(({ kind }) => kind)]
}

/** The first note of a run, written and stored at `at`. */
const started = (
  run: number,
  firstSequence: number,
  at: number,
  { previous = null, store = 'aa' }: { previous?: object | null; store?: string } = {},
): LedgerNote =>
  note('epoch', { epoch: run, firstSequence, previous }, { sequence: 9, run, at, store })
const beat = (run: number, lastSequence: number, at: number, store = 'aa') =>
  note('heads', { epoch: run, lastSequence, zones: [] }, { sequence: 10, run, at, store })

describe('a store that is not heard any more', () => {
  it('keeps the gateway unproven when a new card goes on under its name', () => {
    const dead = gatewayWith('abc')
    dead.heartbeat()
    // 200 more readings were on the card.
    const nowMs = dead.nowMs + LATER_MS
    const fresh = [started(7, 1, nowMs - 2000, { store: 'cc' }), beat(7, 0, nowMs, 'cc')]
    const all = [...dead.notes, ...dead.events, ...fresh]
    const found = assess(all, { nowMs })
    expect(found).toMatchObject({ state: 'unproven', time: dead.nowMs, missing: 0 })
    expect(found.problems.map(({ text }) => text)).toEqual([
      `store aa was last heard at ${new Date(dead.nowMs).toISOString()}, in run 1`,
    ])
    expect(found.stores).toMatchObject([
      { store: 'aa', state: 'silent', heardFrom: START_MS, heardTo: dead.nowMs, runs: [1] },
      { store: 'cc', state: 'complete', heardTo: nowMs, runs: [7] },
    ])
  })

  it('keeps the gateway unproven although Kafka has no note of it but one of the bridge', () => {
    const nowMs = START_MS + LATER_MS
    const behind = { store: 'aa', from: 1, to: 3, why: 'backlog' }
    const only = note('behind', behind, { origin: 'inbox', store: 'bb', run: 3 })
    const fresh = [started(7, 1, nowMs - 2000, { store: 'cc' }), beat(7, 0, nowMs, 'cc')]
    expect(kindsOf([only, ...fresh], nowMs)).toEqual(['unproven', 'not heard'])
  })
})

describe('two stores under one name', () => {
  it('are named, and are no fault while both are heard', () => {
    const one = gatewayWith('ab')
    const nowMs = one.nowMs + 4000
    const both = [
      ...[...one.notes, ...one.events, beat(1, 2, nowMs)],
      ...[started(7, 1, one.nowMs, { store: 'cc' }), beat(7, 0, nowMs, 'cc')],
    ]
    const found = assess(both, { nowMs })
    expect(found.state).toBe('complete')
    expect(found.problems).toMatchObject([{ kind: 'two gateways', isWarning: true }])
    expect(found.problems[0]!.text).toMatch(/^two gateways are called gw: stores aa and cc/)
  })
})

describe('a copied card', () => {
  const original = () => {
    const gateway = gatewayWith('aaa')
    gateway.heartbeat()
    return gateway
  }
  const previous = { epoch: 1, lastSequence: 3, zones: [['a', 3]] }

  it('is named by its runs, and each of the runs must be heard', () => {
    const { notes, events, nowMs: startMs } = original()
    const nowMs = startMs + LATER_MS
    const runs = [2, 3].map(run => started(run, 4, startMs + run, { previous }))
    const all = [...notes, ...events, ...runs, beat(2, 3, nowMs)]
    expect(kindsOf(all, nowMs)).toEqual(['unproven', 'two gateways', 'not heard'])
    expect(assess([...all, beat(3, 3, nowMs)], { nowMs })).toMatchObject({
      state: 'complete',
      problems: [
        { text: 'two gateways are called gw: runs 2 and 3 of store aa both follow run 1' },
      ],
    })
  })

  it('may leave the original in its run, which must then be heard after the copy started', () => {
    const { notes, events, nowMs: startMs } = original()
    const copied = started(2, 3, startMs + 1, { previous: { ...previous, lastSequence: 2 } })
    const nowMs = startMs + LATER_MS
    const all = [...notes, ...events, copied, beat(2, 2, nowMs)]
    expect(kindsOf(all, nowMs)).toEqual(['unproven', 'went back'])
    expect(assess([...all, beat(1, 3, nowMs)], { nowMs })).toMatchObject({ state: 'complete' })
  })

  it('explains no loss of the other card', () => {
    const { notes, events, nowMs: startMs } = original()
    const nowMs = startMs + LATER_MS
    const runs = [2, 3].map(run => started(run, 4, startMs + run, { previous }))
    const beats = [beat(2, 6, startMs + 4), beat(2, 6, nowMs), beat(3, 3, nowMs)]
    const span = { from: 4, to: 6, store: 'aa', reason: 'gone', range: 1 }
    const jump = (run?: number) =>
      note('jump', span, { origin: 'inbox', store: 'bb', ...(run && { run }) })
    const found = (run?: number) =>
      assess([...notes, ...events, ...runs, ...beats, jump(run)], { nowMs, awaitedMaxMs: 1000 })
    expect(found(2)).toMatchObject({ explained: 3, missing: 0 })
    // Run 3 may have lost numbers 4 to 6 of its own.
    expect(found(3)).toMatchObject({ explained: 3, missing: 3 })
    // A note of an earlier version does not say whose loss it explains.
    expect(found()).toMatchObject({ explained: 0, missing: 3 })
  })
})

it('the jump of a copied card explains no number that the original assigned later', () => {
  const gateway = gatewayWith('aaaaaa')
  gateway.heartbeat()
  const { notes, events, nowMs: startMs } = gateway
  const previous = { epoch: 1, lastSequence: 3, zones: [['a', 3]] }
  const nowMs = startMs + LATER_MS
  const copied = [started(2, 4, startMs + 1, { previous }), beat(2, 6, nowMs)]
  const span = { from: 4, to: 6, store: 'aa', reason: 'gone', range: 1 }
  const jump = note('jump', span, { origin: 'inbox', store: 'bb', run: 2 })
  const arrivals = [...notes, ...without(events, 4, 5, 6), ...copied, jump, beat(1, 6, nowMs)]
  const { holes } = assess(arrivals, { nowMs, awaitedMaxMs: 1000 })
  const fates = holes.map(({ epoch, fate }) => `${epoch} ${fate}`)
  expect(fates).toEqual(['1 missing', '2 jump'])
})

describe('a store that went back', () => {
  it('is named, and what Kafka knows is judged', () => {
    const gateway = gatewayWith('aaaaaa')
    gateway.heartbeat()
    const { notes, events, nowMs: startMs } = gateway
    const previous = { epoch: 1, lastSequence: 2, zones: [['a', 2]] }
    const nowMs = startMs + 5000
    const back = [started(2, 3, startMs + 1, { previous }), beat(2, 2, nowMs)]
    const found = assess([...notes, ...without(events, 4, 5), ...back], { nowMs })
    expect(found).toMatchObject({ state: 'unproven', missing: 2 })
    const problem = { text: 'store aa went back from 6 to 2 of run 1', isWarning: false }
    expect(found.problems).toMatchObject([{ kind: 'went back', ...problem }])
    // Kafka knows the numbers from events alone.
    const withoutClaim = [notes[0]!, ...events, ...back]
    expect(kindsOf(withoutClaim, nowMs)).toEqual(['unproven', 'went back'])
  })

  it('is named, too, when the image sends old notes again', () => {
    const gateway = gatewayWith('aa')
    const old = gateway.heartbeat()
    for (const zone of 'aaaa') gateway.event(zone)
    gateway.heartbeat()
    const { notes, events, nowMs: startMs } = gateway
    const previous = { epoch: 1, lastSequence: 2, zones: [['a', 2]] }
    const nowMs = startMs + 5000
    const back = [started(2, 3, startMs + 1, { previous }), beat(2, 2, nowMs)]
    const again = { ...old, appendTimeMs: nowMs }
    expect(kindsOf([...notes, ...events, ...back, again], nowMs)).toEqual(['unproven', 'went back'])
  })
})

describe('numbers without a claim', () => {
  it('are missing between numbers that were seen', () => {
    const gateway = gatewayWith('abcabc')
    const found = assess([...gateway.notes, ...without(gateway.events, 3)])
    expect(found).toMatchObject({ missing: 1, state: 'unproven' })
    const inFlight = { inFlightMaxEvents: 10 }
    const { notes, events } = gateway
    expect(assess([...notes, ...without(events, 3)], inFlight)).toMatchObject({
      awaited: 0,
      missing: 1,
    })
    expect(assess([...notes, ...without(events, 5)], inFlight)).toMatchObject({
      awaited: 1,
      missing: 0,
    })
  })

  it('of a run whose notes are gone are not proven, unless Kafka deleted the rest as well', () => {
    const gateway = gatewayWith('abab')
    gateway.start()
    gateway.event('a')
    gateway.heartbeat()
    const [, second, last] = gateway.notes
    const nowMs = gateway.nowMs + 1000
    const left = [second!, last!, ...without(gateway.events, 1)]
    const silentAfterMs = 3000
    const kinds = (more: object) => {
      const { problems, state } = assess(left, { nowMs, silentAfterMs, ...more })
      return [state, ...problems.map(({ kind }) => kind)]
    }
    expect(kinds({})).toEqual(['unproven', 'notes gone'])
    const startsAt = (ms: number) => new Map([[0, ms]])
    const seconds = (count: number) => START_MS + count * 1000
    const shortened = { logStarts: startsAt(seconds(2)) }
    expect(kinds(shortened)).toEqual(['complete'])
    // The readings go back further than the notes.
    const kept = { logStarts: startsAt(seconds(-600)), noteLogStarts: startsAt(seconds(1)) }
    expect(kinds(kept)).toEqual(['unproven', 'notes gone'])
    const alike = { ...kept, noteLogStarts: startsAt(seconds(-650)) }
    expect(kinds(alike)).not.toContain('notes gone')
  })

  it('of a run before one whose first note is gone are not proven by the next run', () => {
    const gateway = gatewayWith('aaa')
    gateway.start()
    const events = [gateway.event('a'), gateway.event('a')]
    // The run is young, but the first note of the next run shows that its own first note is gone.
    const next = gateway.start()
    const { state, problems } = assess([...events, next])
    expect([state, ...problems.map(({ kind }) => kind)]).toEqual(['unproven', 'notes gone'])
  })

  it('that a claim names are missing when they do not arrive in time', () => {
    const gateway = gatewayWith('ab')
    const claim = gateway.heartbeat()
    const arrivals = [...gateway.notes, gateway.events[0]!]
    const options = { inFlightMaxEvents: 10 }
    const judgedAfter = (ms: number) =>
      assess(arrivals, { ...options, nowMs: claim.appendTimeMs + ms })
    expect(judgedAfter(300_000)).toMatchObject({ awaited: 1, missing: 0 })
    expect(judgedAfter(300_001)).toMatchObject({ awaited: 0, missing: 1 })
    const behind = { store: 'aa', from: 2, to: 2, why: 'backlog' }
    const deferral = note('behind', behind, { origin: 'inbox', store: 'bb' })
    const nowMs = claim.appendTimeMs + 300_001
    expect(assess([...arrivals, deferral], { ...options, nowMs })).toMatchObject({ awaited: 1 })
  })
})

it('a gateway that was renamed is complete under its former name, for ever', () => {
  const gateway = createTestGateway()
  gateway.start()
  gateway.event('a')
  const nowMs = gateway.nowMs + 1e9
  const end = { epoch: 1, lastSequence: 1, zones: [['a', 1]] }
  const ended = note('heads', end, { sequence: 3, run: 2, at: gateway.nowMs })
  const moved = { ...started(2, 2, gateway.nowMs), gateway: 'new name' }
  const arrivals = [...gateway.notes, ...gateway.events, ended]
  expect(assess([...arrivals, moved], { nowMs })).toMatchObject({
    state: 'complete',
    stores: [{ state: 'ended' }],
  })
  // Kafka has not heard of the run that ended this one.
  expect(assess(arrivals, { nowMs }).state).not.toBe('complete')
})
