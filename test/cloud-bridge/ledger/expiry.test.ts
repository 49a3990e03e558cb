import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LedgerEvent } from '../../../cloud-bridge/ledger/ledger.ts'
import { partitionOf } from '../../../config/event/partitioner.ts'
import {
  assess,
  createTestGateway,
  gatewayWith,
  inboxNote,
  note,
  without,
} from './gateway-fixture.ts'

const YEARS_MS = 50 * 31_557_600_000
const NEVER = Number.NEGATIVE_INFINITY

/** Puts zone a into partition 0, b into 1, and so on, of `count` partitions. */
const withPartitions = (events: readonly LedgerEvent[], count = 3) =>
  events.map(event => ({ ...event, partition: (event.zone.charCodeAt(0) - 97) % count }))
const logStartsAt = (...appendTimeMs: number[]) => ({ logStarts: new Map(appendTimeMs.entries()) })

describe('events that Kafka may have deleted', () => {
  it('are not judged; events after them are', () => {
    const gateway = gatewayWith('abababab')
    gateway.heartbeat()
    const rest = without(gateway.events, 1, 2, 3, 4, 7)
    const assessment = assess(
      [...gateway.notes, ...rest],
      logStartsAt(gateway.events[4]!.appendTimeMs),
    )
    expect(assessment).toMatchObject({ expired: 4, missing: 1 })
    expect(assessment.holes).toMatchObject([{ zone: 'a', from: 4, fate: 'missing' }])
  })

  it('end at the oldest record: a gap is not old because the event before is old', () => {
    const gateway = gatewayWith('abab')
    gateway.heartbeat()
    const [, second] = gateway.events
    const rest = without(gateway.events, 3)
    const assessment = assess([...gateway.notes, ...rest], logStartsAt(second!.appendTimeMs))
    expect(assessment).toMatchObject({ expired: 0, missing: 1 })
  })

  it('are judged by partition: deletions in one excuse nothing in another that is untouched', () => {
    const gateway = gatewayWith('abababab')
    gateway.heartbeat()
    const rest = without(withPartitions(gateway.events), 2, 3, 4)
    const oldest = rest.find(({ partition }) => partition === 1)!
    const assessment = assess([...gateway.notes, ...rest], logStartsAt(NEVER, oldest.appendTimeMs))
    expect(assessment).toMatchObject({ expired: 2, missing: 1, state: 'unproven' })
    expect(assessment.holes).toMatchObject([{ zone: 'a', from: 2, fate: 'missing' }])
  })

  it('are never newer than the append time of the oldest record, even if that is dated 2076', () => {
    const gateway = gatewayWith('abababab')
    gateway.heartbeat()
    const [first, ...others] = gateway.events
    const dated = { ...first!, receivedAt: first!.receivedAt + YEARS_MS }
    const rest = [dated, ...without(others, 4)]
    const assessment = assess([...gateway.notes, ...rest], logStartsAt(dated.appendTimeMs))
    expect(assessment).toMatchObject({ expired: 0, missing: 1 })
  })

  it('are not those that a clock of 1970 dates so, if Kafka stored them later', () => {
    const gateway = gatewayWith('aaaaaa')
    gateway.heartbeat()
    const [first, ...others] = gateway.events
    const dated = others.map(event => {
      const appendTimeMs = event.appendTimeMs + 3_600_000
      return { ...event, appendTimeMs, receivedAt: event.sequence }
    })
    const rest = [first!, ...without(dated, 4)]
    const assessment = assess([...gateway.notes, ...rest], logStartsAt(first!.appendTimeMs))
    expect(assessment).toMatchObject({ expired: 0, missing: 1 })
  })

  it('are not those that a clock dates so that was set back in between', () => {
    const gateway = gatewayWith('aaaa')
    gateway.heartbeat()
    const [first, second, , fourth] = gateway.events
    const rest = [first!, second!, { ...fourth!, receivedAt: 4000 }]
    const assessment = assess([...gateway.notes, ...rest], logStartsAt(first!.appendTimeMs))
    expect(assessment).toMatchObject({ expired: 0, missing: 1 })
  })

  it('include those of a zone never seen only if every partition deleted that far', () => {
    const gateway = gatewayWith('cababa')
    gateway.heartbeat()
    const rest = without(withPartitions(gateway.events), 1, 2, 3)
    const [b, a] = rest.map(({ appendTimeMs }) => appendTimeMs)
    const all = [...gateway.notes, ...rest]
    expect(assess(all, logStartsAt(a!, b!))).toMatchObject({
      expired: 3,
      missing: 0,
      state: 'complete',
    })
    expect(assess(all, logStartsAt(NEVER, b!))).toMatchObject({ expired: 1, missing: 2 })
    expect(assess(all)).toMatchObject({ expired: 0, missing: 3 })
  })

  it('are those that each gateway accepted before its own oldest event', () => {
    const gateway = gatewayWith('aaaa')
    const late = gateway.events.map(event => ({
      ...event,
      appendTimeMs: event.appendTimeMs + 3_600_000,
    }))
    gateway.heartbeat()
    const heads = gateway.notes.map(one => ({ ...one, appendTimeMs: one.at + 3_600_000 }))
    const rest = without(late, 1, 3)
    // The oldest record of the partition is from another gateway, which was not late.
    const options = { ...logStartsAt(late[1]!.appendTimeMs), nowMs: late[3]!.appendTimeMs }
    const assessment = assess([...heads, ...rest], options)
    expect(assessment).toMatchObject({ expired: 1, missing: 1 })
    expect(assessment.holes).toMatchObject([{ zone: 'a', from: 3 }])
  })

  it('do not explain sequences that no zone lacks', () => {
    const gateway = gatewayWith('ab')
    gateway.heartbeat()
    const heads = note('heads', { epoch: 1, lastSequence: 3, zones: [['a', 1]] }, { sequence: 9 })
    const assessment = assess([...gateway.notes, heads, ...gateway.events], logStartsAt(NEVER))
    expect(assessment).toMatchObject({ expired: 0, awaited: 1 })
  })
})

describe('events that Kafka may have deleted of zones that moved to another partition', () => {
  /**
   * Two zones in partition 0 of two partitions. With four partitions, the first zone moves to
   * partition 2 and the second stays in partition 0.
   */
  const names = Array.from({ length: 99 }, (_, number) => `z${number}`)
  const partitionAmong = (count: number, zone: string) => partitionOf(Buffer.from(zone), count)
  const [moved, stays] = [2, 0].map(
    to => names.find(zone => partitionAmong(2, zone) === 0 && partitionAmong(4, zone) === to)!,
  )
  const gatewayThatMoved = () => {
    const gateway = createTestGateway()
    gateway.start()
    const eventsAmong = (count: number) => {
      for (let round = 0; round < 4; round++) {
        for (const zone of [moved!, stays!]) {
          Object.assign(gateway.event(zone), { partition: partitionAmong(count, zone) })
        }
      }
    }
    eventsAmong(2)
    const partitions = { from: 2, to: 4 }
    gateway.notes.push(inboxNote('spread', { topic: 'readings', behind: 8, partitions }))
    eventsAmong(4)
    gateway.heartbeat()
    return gateway
  }

  it('are those deleted in the old partition, even if the new partition is untouched', () => {
    const { events, notes } = gatewayThatMoved()
    const rest = events.slice(8)
    const options = logStartsAt(rest[1]!.appendTimeMs, NEVER, NEVER)
    expect(assess([...notes, ...rest], options)).toMatchObject({ expired: 8, missing: 0 })
    const some = events.slice(5)
    expect(
      assess([...notes, ...some], logStartsAt(some[0]!.appendTimeMs, NEVER, NEVER)),
    ).toMatchObject({
      ...{ expired: 5, missing: 0 },
    })
  })

  it('are not those missing in the new partition, whatever the old one deleted', () => {
    const { events, notes } = gatewayThatMoved()
    const [oldest] = events.slice(15)
    const rest = events.filter(
      ({ zone, sequence }, at) => at === 15 || (at > 7 && zone === moved && sequence !== 11),
    )
    const assessment = assess([...notes, ...rest], logStartsAt(oldest!.appendTimeMs, NEVER, NEVER))
    expect(assessment.holes[0]).toMatchObject({ zone: moved, from: 6, to: 6, fate: 'missing' })
  })

  it('are those as old as the deletions elsewhere, if the old partition is empty', () => {
    const { events, notes } = gatewayThatMoved()
    const back = { topic: 'readings', behind: 16, partitions: { from: 4, to: 1 } }
    const gateway = { events: [] as LedgerEvent[] }
    const last = { ...events.at(-1)!, zone: stays!, sequence: 17, zoneSequence: 9, partition: 0 }
    gateway.events.push({
      ...last,
      receivedAt: last.receivedAt + 1000,
      appendTimeMs: last.appendTimeMs + 1000,
    })
    const all = [...notes, inboxNote('spread', back), ...gateway.events]
    const assessment = assess(all, logStartsAt(gateway.events[0]!.appendTimeMs))
    expect(assessment).toMatchObject({ expired: 16, missing: 0 })
  })
})

const zones = fc.array(
  fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom('a', 'b', 'c', 'd') },
    { weight: 1, arbitrary: fc.constant('start') },
  ),
  { minLength: 8, maxLength: 60 },
)

describe('partitions that retention truncates anywhere', () => {
  it('have no missing event, and a removed event is never excused', () => {
    fc.assert(
      fc.property(
        zones,
        fc.array(fc.nat(20), { minLength: 2, maxLength: 2 }),
        fc.nat(99),
        (all, truncation, at) => {
          const gateway = createTestGateway()
          gateway.start()
          for (const step of all) step === 'start' ? gateway.start() : gateway.event(step)
          // Each zone has one event at least.
          for (const zone of 'abcd') gateway.event(zone)
          gateway.heartbeat()
          const kept = [0, 1].map(partition => {
            const own = withPartitions(gateway.events, 2).filter(
              event => event.partition === partition,
            )
            return own.slice(Math.min(truncation[partition]!, own.length - 2))
          })
          const logStarts = new Map(
            kept.map(([oldest], partition) => [
              partition,
              truncation[partition] ? oldest!.appendTimeMs : NEVER,
            ]),
          )
          const present = kept.flat()
          const options = { logStarts, nowMs: gateway.nowMs }
          const complete = assess([...gateway.notes, ...present], options)
          expect(complete).toMatchObject({ missing: 0, awaited: 0, state: 'complete' })
          expect(complete.expired).toBe(gateway.events.length - present.length)
          // Up to this moment a removed event can be one that the other partition deleted.
          const last = Math.max(
            ...logStarts.values(),
            present[0]!.appendTimeMs,
            kept[1]![0]!.appendTimeMs,
          )
          const later = present.filter(({ appendTimeMs }) => appendTimeMs > last)
          const removed = later[at % later.length]
          if (!removed) return
          const rest = present.filter(event => event !== removed)
          const { missing, awaited } = assess([...gateway.notes, ...rest], options)
          expect(missing + awaited).toBeGreaterThan(0)
        },
      ),
      { numRuns: 300 },
    )
  })
})
