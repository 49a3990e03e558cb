import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assessGateways } from '../../../cloud-bridge/ledger/assessment.ts'
import { createLedger, type LedgerEvent } from '../../../cloud-bridge/ledger/ledger.ts'
import type { LedgerNote } from '../../../cloud-bridge/ledger/notes/notes.ts'
import { createTestGateway, note, STORE, zonesOf } from './gateway-fixture.ts'

/** A step of a gateway: an event of a zone, a heartbeat, or a restart. */
const action = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('a', 'b', 'c') },
  { weight: 2, arbitrary: fc.constant('beat' as const) },
  { weight: 1, arbitrary: fc.constant('start' as const) },
)
const actions = fc.array(action, { minLength: 1, maxLength: 60 })
/** The fate of an event between gateway and Kafka. */
const fate = fc.oneof(
  { weight: 6, arbitrary: fc.constant('arrives') },
  { weight: 1, arbitrary: fc.constant('twice') },
  { weight: 1, arbitrary: fc.constant('lost') },
  { weight: 1, arbitrary: fc.constant('rejected') },
)
const allFates = fc.array(fate, { minLength: 60, maxLength: 60 })
const order = fc.array(fc.nat(1000), { minLength: 300, maxLength: 300 })
/** Removed groups: the index of their first event, the count, the kind of the note. */
const removed = fc.array(
  fc.tuple(
    fc.nat(59),
    fc.integer({ min: 1, max: 8 }),
    fc.constantFrom('jump', 'unreadable', 'tombstone', 'hole'),
  ),
  { maxLength: 4 },
)

function run(all: string[]) {
  const gateway = createTestGateway()
  gateway.start()
  for (const step of all) {
    if (step === 'start') gateway.start()
    else if (step === 'beat') gateway.heartbeat()
    else gateway.event(step)
  }
  gateway.heartbeat()
  return gateway
}

const rejected = (event: LedgerEvent) =>
  note(
    'rejected',
    { ...event, store: STORE, reason: 'INVALID_RECORD' },
    { origin: 'inbox', store: 'bb' },
  )

/**
 * Adds all events and notes in the order of their keys, with an assessment now and then, as
 * `--watch` does.
 */
function assessShuffled(arrivals: (LedgerEvent | LedgerNote)[], keys: number[], nowMs: number) {
  const ledger = createLedger()
  const options = { nowMs, silentAfterMs: 30_000, inFlightMaxEvents: 0 }
  const shuffled = arrivals
    .map((arrival, index) => [keys[index % keys.length]!, arrival] as const)
    .sort(([a], [b]) => a - b)
  for (const [key, arrival] of shuffled) {
    if ('kind' in arrival) ledger.addNote(arrival)
    else ledger.addEvent(arrival)
    if (key % 7 === 0) assessGateways(ledger.gateways.values(), options)
  }
  return assessGateways(ledger.gateways.values(), options)[0]!
}

/** One line for each number of a gap, with its fate. */
function linesOf({ holes }: ReturnType<typeof assessShuffled>): string[] {
  return holes
    .flatMap(({ epoch, zone, from, to, fate }) =>
      Array.from({ length: to - from + 1 }, (_, at) => `${epoch} ${zone} ${from + at} ${fate}`),
    )
    .sort()
}
const line = ({ epoch, zone, zoneSequence }: LedgerEvent, fate: string) =>
  `${epoch} ${zone} ${zoneSequence} ${fate}`

describe('the ledger, in any order of arrival', () => {
  it('names exactly the events that were removed, and counts the others once', () => {
    fc.assert(
      fc.property(actions, allFates, order, (all, fates, keys) => {
        const { events, notes, nowMs } = run(all)
        const fateOf = (event: LedgerEvent) => fates[event.sequence - 1]!
        const arrived = events.filter(event => ['arrives', 'twice'].includes(fateOf(event)))
        const twice = arrived.filter(event => fateOf(event) === 'twice')
        const refused = events.filter(event => fateOf(event) === 'rejected').map(rejected)
        const assessment = assessShuffled(
          [...arrived, ...twice, ...notes, ...notes, ...refused],
          keys,
          nowMs,
        )
        const reach = arrived.at(-1)?.sequence ?? 0
        const lost = events.flatMap(event => {
          if (fateOf(event) === 'rejected') return [line(event, 'rejected')]
          const fate = event.sequence > reach ? 'awaited' : 'missing'
          return fateOf(event) === 'lost' ? [line(event, fate)] : []
        })
        // If two zones lack their last numbers, which one is awaited is ambiguous.
        const unified = (lines: string[]) =>
          lines.map(text => text.replace('awaited', 'missing')).sort()
        const found = linesOf(assessment)
        expect(unified(found)).toEqual(unified(lost))
        const awaited = lost.filter(text => text.endsWith('awaited'))
        expect(awaited).toEqual(
          expect.arrayContaining(found.filter(text => text.endsWith('awaited'))),
        )
        expect(assessment.events).toBe(arrived.length)
        expect(assessment.duplicates).toBe(twice.length)
        const open = lost.some(text => /missing|awaited/.test(text))
        if (!open) expect(assessment).toMatchObject({ state: 'complete', time: nowMs })
      }),
      { numRuns: 500 },
    )
  })

  it('names each number that was removed, and never explains a missing one', () => {
    fc.assert(
      fc.property(actions, allFates, removed, order, (all, fates, ranges, keys) => {
        const { events, notes, nowMs } = run(all)
        const explainedBy = new Map<LedgerEvent, string>()
        const explanations = ranges.flatMap(([first, count, kind]) => {
          // A group has the events of one epoch, and is removed once.
          const group = events
            .slice(first, first + count)
            .filter(
              (event, _, [firstEvent]) =>
                event.epoch === firstEvent!.epoch && !explainedBy.has(event),
            )
          if (group.length === 0 || group.at(-1)!.sequence - group[0]!.sequence >= group.length) {
            return []
          }
          for (const event of group) explainedBy.set(event, kind)
          const zones = zonesOf(group)
          const more = {
            jump: {},
            hole: { epoch: group[0]!.epoch },
            unreadable: { zones },
            tombstone: { zones: zones.map(({ zone, first, count }) => [zone, first, count]) },
          }[kind]
          const span = { from: group[0]!.sequence, to: group.at(-1)!.sequence, reason: 'gone' }
          return [note(kind, { ...span, store: STORE, ...more }, { store: 'bb', origin: 'inbox' })]
        })
        const isLost = (event: LedgerEvent) => fates[event.sequence - 1] === 'lost'
        const arrived = events.filter(event => !explainedBy.has(event) && !isLost(event))
        const assessment = assessShuffled([...arrived, ...notes, ...explanations], keys, nowMs)
        const lines = new Map(
          linesOf(assessment).map(text => [text.slice(0, text.lastIndexOf(' ')), text]),
        )
        expect(lines.size).toBe(events.length - arrived.length)
        for (const event of events.filter(known => !arrived.includes(known))) {
          const found = lines.get(line(event, '').trimEnd()) ?? 'not named'
          const kind = explainedBy.get(event)
          // If a jump and a loss are in one gap of a zone, the gap is called missing.
          const mayBeUnclear = kind === 'jump' || kind === 'hole'
          if (kind === undefined) expect(found).toMatch(/missing|awaited/)
          else expect(found).toMatch(mayBeUnclear ? /jump|hole|missing/ : kind)
          if (assessment.missing === 0 && assessment.awaited === 0)
            expect(found).not.toMatch(/missing/)
        }
      }),
      { numRuns: 500 },
    )
  })
})
