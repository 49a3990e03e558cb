import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LedgerEvent } from '../../../cloud-bridge/ledger/ledger.ts'
import { partitionOf } from '../../../config/event/partitioner.ts'
import { fromInbox, gatewayWith, note, startGateway, told, without } from './gateway-fixture.ts'

const YEARS_MS = 50 * 31_557_600_000
const NEVER = Number.NEGATIVE_INFINITY

/** Zone a in partition 0, b in 1, and so on; `count` of them. */
const spread = (events: readonly LedgerEvent[], count = 3) =>
  events.map(event => ({ ...event, partition: (event.zone.charCodeAt(0) - 97) % count }))
const cutsAt = (...heardAt: number[]) => ({ cuts: new Map(heardAt.entries()) })

describe('what Kafka may have deleted', () => {
  it('is not judged, and what is behind it is', () => {
    const gateway = gatewayWith('abababab')
    gateway.beat()
    const rest = without(gateway.events, 1, 2, 3, 4, 7)
    const conclusion = told([...gateway.notes, ...rest], cutsAt(gateway.events[4]!.heardAt))
    expect(conclusion).toMatchObject({ expired: 4, missing: 1 })
    expect(conclusion.holes).toMatchObject([{ zone: 'a', from: 4, fate: 'missing' }])
  })

  it('ends with it: a hole is not old because its neighbour before is', () => {
    const gateway = gatewayWith('abab')
    gateway.beat()
    const [, second] = gateway.events
    const rest = without(gateway.events, 3)
    const conclusion = told([...gateway.notes, ...rest], cutsAt(second!.heardAt))
    expect(conclusion).toMatchObject({ expired: 0, missing: 1 })
  })

  it('is so by partition: one that has all excuses nothing, whatever another has lost', () => {
    const gateway = gatewayWith('abababab')
    gateway.beat()
    const rest = without(spread(gateway.events), 2, 3, 4)
    const oldest = rest.find(({ partition }) => partition === 1)!
    const conclusion = told([...gateway.notes, ...rest], cutsAt(NEVER, oldest.heardAt))
    expect(conclusion).toMatchObject({ expired: 2, missing: 1, state: 'unproven' })
    expect(conclusion.holes).toMatchObject([{ zone: 'a', from: 2, fate: 'missing' }])
  })

  it('is never newer than when Kafka got the oldest it has, though that be dated 2076', () => {
    const gateway = gatewayWith('abababab')
    gateway.beat()
    const [first, ...others] = gateway.events
    const dated = { ...first!, receivedAt: first!.receivedAt + YEARS_MS }
    const rest = [dated, ...without(others, 4)]
    const conclusion = told([...gateway.notes, ...rest], cutsAt(dated.heardAt))
    expect(conclusion).toMatchObject({ expired: 0, missing: 1 })
  })

  it('is not what a clock of 1970 says, when Kafka heard of it later', () => {
    const gateway = gatewayWith('aaaaaa')
    gateway.beat()
    const [first, ...others] = gateway.events
    const dated = others.map(event => {
      const heardAt = event.heardAt + 3_600_000
      return { ...event, heardAt, receivedAt: event.sequence }
    })
    const rest = [first!, ...without(dated, 4)]
    const conclusion = told([...gateway.notes, ...rest], cutsAt(first!.heardAt))
    expect(conclusion).toMatchObject({ expired: 0, missing: 1 })
  })

  it('is not what a clock says that was set back meanwhile', () => {
    const gateway = gatewayWith('aaaa')
    gateway.beat()
    const [first, second, , fourth] = gateway.events
    const rest = [first!, second!, { ...fourth!, receivedAt: 4000 }]
    const conclusion = told([...gateway.notes, ...rest], cutsAt(first!.heardAt))
    expect(conclusion).toMatchObject({ expired: 0, missing: 1 })
  })

  it('is, of a zone that was never seen, only where every partition has lost what was so old', () => {
    const gateway = gatewayWith('cababa')
    gateway.beat()
    const rest = without(spread(gateway.events), 1, 2, 3)
    const [b, a] = rest.map(({ heardAt }) => heardAt)
    const all = [...gateway.notes, ...rest]
    expect(told(all, cutsAt(a!, b!))).toMatchObject({ expired: 3, missing: 0, state: 'complete' })
    expect(told(all, cutsAt(NEVER, b!))).toMatchObject({ expired: 1, missing: 2 })
    expect(told(all)).toMatchObject({ expired: 0, missing: 3 })
  })

  it('is of each gateway what it accepted before its own oldest one', () => {
    const gateway = gatewayWith('aaaa')
    const late = gateway.events.map(event => ({ ...event, heardAt: event.heardAt + 3_600_000 }))
    gateway.beat()
    const heads = gateway.notes.map(one => ({ ...one, heardAt: one.at + 3_600_000 }))
    const rest = without(late, 1, 3)
    // The oldest of all is another gateway's, which was not behind.
    const cut = { ...cutsAt(late[1]!.heardAt), nowMs: late[3]!.heardAt }
    const conclusion = told([...heads, ...rest], cut)
    expect(conclusion).toMatchObject({ expired: 1, missing: 1 })
    expect(conclusion.holes).toMatchObject([{ zone: 'a', from: 3 }])
  })

  it('does not explain sequences that no zone lacks', () => {
    const gateway = gatewayWith('ab')
    gateway.beat()
    const heads = note('heads', { epoch: 1, lastSequence: 3, zones: [['a', 1]] }, { sequence: 9 })
    const conclusion = told([...gateway.notes, heads, ...gateway.events], cutsAt(NEVER))
    expect(conclusion).toMatchObject({ expired: 0, awaited: 1 })
  })
})

describe('what Kafka may have deleted of zones that were moved', () => {
  /** Two zones of partition 0 of two; of four, the one is in partition 2, the other still in 0. */
  const names = Array.from({ length: 99 }, (_, number) => `z${number}`)
  const of = (count: number, zone: string) => partitionOf(Buffer.from(zone), count)
  const [moved, stays] = [2, 0].map(
    to => names.find(zone => of(2, zone) === 0 && of(4, zone) === to)!,
  )
  const startMoved = () => {
    const gateway = startGateway()
    gateway.start()
    const era = (count: number) => {
      for (let round = 0; round < 4; round++) {
        for (const zone of [moved!, stays!]) {
          Object.assign(gateway.event(zone), { partition: of(count, zone) })
        }
      }
    }
    era(2)
    const partitions = { from: 2, to: 4 }
    gateway.notes.push(fromInbox('spread', { topic: 'readings', behind: 8, partitions }))
    era(4)
    gateway.beat()
    return gateway
  }

  it('is what was deleted where they were, though where they are has all', () => {
    const { events, notes } = startMoved()
    const rest = events.slice(8)
    const cut = cutsAt(rest[1]!.heardAt, NEVER, NEVER)
    expect(told([...notes, ...rest], cut)).toMatchObject({ expired: 8, missing: 0 })
    const some = events.slice(5)
    expect(told([...notes, ...some], cutsAt(some[0]!.heardAt, NEVER, NEVER))).toMatchObject({
      ...{ expired: 5, missing: 0 },
    })
  })

  it('is not what they lack where they are, whatever is deleted where they were', () => {
    const { events, notes } = startMoved()
    const [oldest] = events.slice(15)
    const rest = events.filter(
      ({ zone, sequence }, at) => at === 15 || (at > 7 && zone === moved && sequence !== 11),
    )
    const conclusion = told([...notes, ...rest], cutsAt(oldest!.heardAt, NEVER, NEVER))
    expect(conclusion.holes[0]).toMatchObject({ zone: moved, from: 6, to: 6, fate: 'missing' })
  })

  it('is, where they are no longer and nothing is left, what is as old elsewhere', () => {
    const { events, notes } = startMoved()
    const back = { topic: 'readings', behind: 16, partitions: { from: 4, to: 1 } }
    const gateway = { events: [] as LedgerEvent[] }
    const last = { ...events.at(-1)!, zone: stays!, sequence: 17, zoneSequence: 9, partition: 0 }
    gateway.events.push({
      ...last,
      receivedAt: last.receivedAt + 1000,
      heardAt: last.heardAt + 1000,
    })
    const all = [...notes, fromInbox('spread', back), ...gateway.events]
    const conclusion = told(all, cutsAt(gateway.events[0]!.heardAt))
    expect(conclusion).toMatchObject({ expired: 16, missing: 0 })
  })
})

const zones = fc.array(
  fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom('a', 'b', 'c', 'd') },
    { weight: 1, arbitrary: fc.constant('start') },
  ),
  { minLength: 8, maxLength: 60 },
)

describe('partitions that are cut anywhere', () => {
  it('lack nothing that they were not robbed of, and no robbery is excused', () => {
    fc.assert(
      fc.property(
        zones,
        fc.array(fc.nat(20), { minLength: 2, maxLength: 2 }),
        fc.nat(99),
        (all, cut, at) => {
          const gateway = startGateway()
          gateway.start()
          for (const one of all) one === 'start' ? gateway.start() : gateway.event(one)
          // Each zone is known of one event at least.
          for (const zone of 'abcd') gateway.event(zone)
          gateway.beat()
          const kept = [0, 1].map(partition => {
            const own = spread(gateway.events, 2).filter(event => event.partition === partition)
            return own.slice(Math.min(cut[partition]!, own.length - 2))
          })
          const cuts = new Map(
            kept.map(([oldest], partition) => [
              partition,
              cut[partition] ? oldest!.heardAt : NEVER,
            ]),
          )
          const there = kept.flat()
          const options = { cuts, nowMs: gateway.nowMs }
          const whole = told([...gateway.notes, ...there], options)
          expect(whole).toMatchObject({ missing: 0, awaited: 0, state: 'complete' })
          expect(whole.expired).toBe(gateway.events.length - there.length)
          // Before that, the one may be what the other partition has lost since.
          const last = Math.max(...cuts.values(), there[0]!.heardAt, kept[1]![0]!.heardAt)
          const behind = there.filter(({ heardAt }) => heardAt > last)
          const robbed = behind[at % behind.length]
          if (!robbed) return
          const rest = there.filter(event => event !== robbed)
          const { missing, awaited } = told([...gateway.notes, ...rest], options)
          expect(missing + awaited).toBeGreaterThan(0)
        },
      ),
      { numRuns: 300 },
    )
  })
})
