import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assessGateways } from '../../../cloud-bridge/ledger/assessment.ts'
import { createLedger, type LedgerEvent } from '../../../cloud-bridge/ledger/ledger.ts'
import type { LedgerNote } from '../../../cloud-bridge/ledger/notes.ts'
import { note, STORE, startGateway, zonesOf } from './gateway-fixture.ts'

/** What a gateway does: an event of a zone, a heartbeat, or a restart. */
const action = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('a', 'b', 'c') },
  { weight: 2, arbitrary: fc.constant('beat' as const) },
  { weight: 1, arbitrary: fc.constant('start' as const) },
)
const actions = fc.array(action, { minLength: 1, maxLength: 60 })
/** What becomes of an event on its way. */
const journey = fc.oneof(
  { weight: 6, arbitrary: fc.constant('arrives') },
  { weight: 1, arbitrary: fc.constant('twice') },
  { weight: 1, arbitrary: fc.constant('lost') },
  { weight: 1, arbitrary: fc.constant('rejected') },
)
const journeys = fc.array(journey, { minLength: 60, maxLength: 60 })
const order = fc.array(fc.nat(1000), { minLength: 300, maxLength: 300 })
/** Groups that are gone: their first event, how many, how that is told. */
const gone = fc.array(
  fc.tuple(
    fc.nat(59),
    fc.integer({ min: 1, max: 8 }),
    fc.constantFrom('jump', 'unreadable', 'tombstone', 'hole'),
  ),
  { maxLength: 4 },
)

function run(all: string[]) {
  const gateway = startGateway()
  gateway.start()
  for (const one of all) {
    if (one === 'start') gateway.start()
    else if (one === 'beat') gateway.beat()
    else gateway.event(one)
  }
  gateway.beat()
  return gateway
}

const rejected = (event: LedgerEvent) =>
  note(
    'rejected',
    { ...event, store: STORE, reason: 'INVALID_RECORD' },
    { origin: 'inbox', store: 'bb' },
  )

/** Feeds all in the order of the keys, concluding now and then, as `--watch` does. */
function feed(arrivals: (LedgerEvent | LedgerNote)[], keys: number[], nowMs: number) {
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

/** One line for each number that is named, with its fate. */
function named({ holes }: ReturnType<typeof feed>): string[] {
  return holes
    .flatMap(({ epoch, zone, from, to, fate }) =>
      Array.from({ length: to - from + 1 }, (_, at) => `${epoch} ${zone} ${from + at} ${fate}`),
    )
    .sort()
}
const line = ({ epoch, zone, zoneSequence }: LedgerEvent, fate: string) =>
  `${epoch} ${zone} ${zoneSequence} ${fate}`

describe('the ledger, in whatever order it hears', () => {
  it('names exactly the events that were taken away, and counts the others once', () => {
    fc.assert(
      fc.property(actions, journeys, order, (all, ways, keys) => {
        const { events, notes, nowMs } = run(all)
        const way = (event: LedgerEvent) => ways[event.sequence - 1]!
        const arrived = events.filter(event => ['arrives', 'twice'].includes(way(event)))
        const twice = arrived.filter(event => way(event) === 'twice')
        const refused = events.filter(event => way(event) === 'rejected').map(rejected)
        const ledger = feed([...arrived, ...twice, ...notes, ...notes, ...refused], keys, nowMs)
        const reach = arrived.at(-1)?.sequence ?? 0
        const lost = events.flatMap(event => {
          if (way(event) === 'rejected') return [line(event, 'rejected')]
          const fate = event.sequence > reach ? 'awaited' : 'missing'
          return way(event) === 'lost' ? [line(event, fate)] : []
        })
        // Of two zones that lack their last ones, none can say whose is on its way.
        const plain = (all: string[]) => all.map(one => one.replace('awaited', 'missing')).sort()
        const found = named(ledger)
        expect(plain(found)).toEqual(plain(lost))
        const awaited = lost.filter(one => one.endsWith('awaited'))
        expect(awaited).toEqual(
          expect.arrayContaining(found.filter(one => one.endsWith('awaited'))),
        )
        expect(ledger.events).toBe(arrived.length)
        expect(ledger.duplicates).toBe(twice.length)
        const open = lost.some(one => /missing|awaited/.test(one))
        if (!open) expect(ledger).toMatchObject({ state: 'complete', time: nowMs })
      }),
      { numRuns: 500 },
    )
  })

  it('names each number that is gone, and never explains one that is missing', () => {
    fc.assert(
      fc.property(actions, journeys, gone, order, (all, ways, ranges, keys) => {
        const { events, notes, nowMs } = run(all)
        const told = new Map<LedgerEvent, string>()
        const explanations = ranges.flatMap(([first, count, kind]) => {
          // A group has the events of one epoch, and is gone once.
          const group = events
            .slice(first, first + count)
            .filter((event, _, [one]) => event.epoch === one!.epoch && !told.has(event))
          if (group.length === 0 || group.at(-1)!.sequence - group[0]!.sequence >= group.length) {
            return []
          }
          for (const event of group) told.set(event, kind)
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
        const isLost = (event: LedgerEvent) => ways[event.sequence - 1] === 'lost'
        const arrived = events.filter(event => !told.has(event) && !isLost(event))
        const ledger = feed([...arrived, ...notes, ...explanations], keys, nowMs)
        const fates = new Map(named(ledger).map(one => [one.slice(0, one.lastIndexOf(' ')), one]))
        expect(fates.size).toBe(events.length - arrived.length)
        for (const event of events.filter(one => !arrived.includes(one))) {
          const found = fates.get(line(event, '').trimEnd()) ?? 'not named'
          const kind = told.get(event)
          // Where a jump and a loss lie in one hole of a zone, all of it is called missing.
          const mayBeUnclear = kind === 'jump' || kind === 'hole'
          if (kind === undefined) expect(found).toMatch(/missing|awaited/)
          else expect(found).toMatch(mayBeUnclear ? /jump|hole|missing/ : kind)
          if (ledger.missing === 0 && ledger.awaited === 0) expect(found).not.toMatch(/missing/)
        }
      }),
      { numRuns: 500 },
    )
  })
})
