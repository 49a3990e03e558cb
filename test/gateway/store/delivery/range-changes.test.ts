import { describe, expect, it } from 'vitest'
import { partitionOf } from '../../../../config/event/partitioner.ts'
import type { StoredEvent } from '../../../../gateway/store/groups/group-codec.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { openEventSource } from '../../../../gateway/store/source/event-source.ts'
import { reading, temporary } from '../fixture.ts'

const PARTITIONS = 3
const limits = { maxEvents: 1000, maxBytes: 1e6 }
/** One zone for each partition. */
const zones = [0, 1, 2].map(partition => {
  const names = Array.from({ length: 50 }, (_, number) => `zone ${number}`)
  return names.find(name => partitionOf(Buffer.from(name), PARTITIONS) === partition)!
})

/** An outbox of groups with one event of each zone, and the bridge's view of the outbox. */
function startPlace() {
  const place = temporary()
  const outboxFile = place.file('outbox.db')
  const outbox = openOutbox({ file: outboxFile, gateway: 'gw' })
  const open = () => {
    const inbox = openInbox({ file: place.file('inbox.db'), settleMs: 60_000 })
    const source = openEventSource({ outboxFile, inbox })
    source.refresh()
    return { inbox, source }
  }
  let { inbox, source } = open()
  const close = () => {
    source.close()
    inbox.close()
  }
  return {
    get source() {
      return source
    },
    get notes() {
      return inbox.notesFrom(1)
    },
    commit: (groups = 1) => {
      for (let group = 0; group < groups; group++) {
        outbox.commit({ readings: zones.map(zone => reading(zone)) })
      }
    },
    restart() {
      close()
      ;({ inbox, source } = open())
    },
    [Symbol.dispose]() {
      close()
      outbox.close()
      place[Symbol.dispose]()
    },
  }
}
type Source = ReturnType<typeof startPlace>['source']
type BatchReader = Pick<Source, 'readBatch' | 'advance'>

/** Reads one batch and advances; returns the sequences of its events. */
const step = ({ readBatch, advance }: BatchReader, maxBatch = limits) => {
  const batch = readBatch(maxBatch)
  if (batch) advance(batch)
  return batch && numbersOf(batch.events)
}
const numbersOf = (events: StoredEvent[]) => events.map(({ sequence }) => sequence)
const span = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)
/**
 * The sequences of the events of some partitions, where each group has one event of each partition.
 */
const ofPartitions = (from: number, to: number, ...some: number[]) =>
  span(from, to).filter(number => some.includes((number - 1) % 3))

describe('a backlog', () => {
  it('goes to the backfill topic in order, while events after the split are live', () => {
    using at = startPlace()
    at.commit(10)
    at.source.ensureLiveRange('readings', PARTITIONS)
    expect(step(at.source, { maxEvents: 6, maxBytes: 1e6 })).toEqual(span(1, 6))
    at.source.plan.splitBacklog('backfill')
    expect(at.source.readBatch(limits)).toBe(null)
    at.commit()
    const live = at.source.readBatch(limits)!
    expect([live.range.topic, numbersOf(live.events)]).toEqual(['readings', [31, 32, 33]])
    const old = at.source.backfill.readBatch(limits)!
    expect([old.range.topic, numbersOf(old.events)]).toEqual(['backfill', span(7, 30)])
    expect(at.source.backlog()?.events).toBe(27)
  })

  it('is announced by a note, and its end by another', () => {
    using at = startPlace()
    at.commit(2)
    at.source.ensureLiveRange('readings', PARTITIONS)
    at.source.plan.splitBacklog('backfill')
    const content = {
      from: 1,
      to: 6,
      topic: 'backfill',
      partitions: 3,
      zones: null,
      why: 'backlog',
    }
    expect(at.notes).toMatchObject([{ sequence: 1, kind: 'behind', content }])
    expect(step(at.source.backfill, { maxEvents: 1, maxBytes: 1 })).toEqual([1, 2, 3])
    expect(at.notes.length).toBe(1)
    expect(step(at.source.backfill)).toEqual([4, 5, 6])
    expect(at.notes[1]).toMatchObject({ kind: 'caught up', content: { behind: 1 } })
    expect(at.source.ranges.length).toBe(1)
  })

  it('survives a restart, and a second backlog follows the first', () => {
    using at = startPlace()
    at.commit(2)
    at.source.ensureLiveRange('readings', PARTITIONS)
    at.source.plan.splitBacklog('backfill')
    at.commit(2)
    at.source.plan.splitBacklog('backfill')
    at.restart()
    at.commit()
    expect(step(at.source)).toEqual([13, 14, 15])
    expect(step(at.source.backfill)).toEqual(span(1, 6))
    at.restart()
    expect(step(at.source.backfill)).toEqual(span(7, 12))
    expect(step(at.source.backfill)).toBe(null)
  })

  it('is not created when nothing waits', () => {
    using at = startPlace()
    at.commit()
    at.source.ensureLiveRange('readings', PARTITIONS)
    step(at.source)
    at.source.plan.splitBacklog('backfill')
    expect([at.source.ranges.length, at.notes]).toEqual([1, []])
  })
})

describe('isolated partitions', () => {
  /** Partition 1 did not accept its events of groups 1 and 2. */
  const isolateOne = (at: ReturnType<typeof startPlace>) => {
    at.commit(2)
    at.source.ensureLiveRange('readings', PARTITIONS)
    return at.source.plan.isolate(at.source.readBatch(limits)!, [1])
  }

  it('get a range of their own, and the others continue without them', () => {
    using at = startPlace()
    const range = isolateOne(at)
    at.commit(2)
    expect(step(at.source)).toEqual(ofPartitions(7, 12, 0, 2))
    expect(step(at.source.isolated(range.id))).toEqual(ofPartitions(1, 12, 1))
    const content = { from: 1, to: null, zones: { only: [1] }, why: 'apart' }
    expect(at.notes).toMatchObject([{ kind: 'behind', content }])
  })

  it('never pass the live position', () => {
    using at = startPlace()
    const { id } = isolateOne(at)
    at.commit(2)
    expect(step(at.source.isolated(id))).toEqual([2, 5])
    expect(at.source.isolated(id).readBatch(limits)).toBe(null)
  })

  it('merge with the live range when both are at the same position', () => {
    using at = startPlace()
    const { id } = isolateOne(at)
    at.commit()
    expect(() => at.source.plan.mergeIsolated(at.source.plan.isolated[0]!)).toThrow('cannot merge')
    while (step(at.source.isolated(id)));
    expect(at.source.plan.lagOf(at.source.plan.isolated[0]!)).toBe(0)
    at.source.plan.mergeIsolated(at.source.plan.isolated[0]!)
    expect(step(at.source)).toEqual([7, 8, 9])
    expect(at.notes.at(-1)).toMatchObject({ kind: 'caught up', content: { behind: 1 } })
    expect(at.source.ranges).toMatchObject([{ zones: null, end: null }])
  })

  it('may be several at different positions, and merge one by one, over restarts', () => {
    using at = startPlace()
    isolateOne(at)
    at.commit()
    at.source.plan.isolate(at.source.readBatch(limits)!, [2])
    at.restart()
    at.commit()
    expect(step(at.source)).toEqual([10])
    const [first, second] = at.source.plan.isolated
    while (step(at.source.isolated(second!.id)));
    at.source.plan.mergeIsolated(second!)
    at.commit()
    expect(step(at.source)).toEqual([13, 15])
    at.restart()
    expect(step(at.source.isolated(first!.id))).toEqual([2, 5, 8, 11, 14])
    at.source.plan.mergeIsolated(at.source.plan.isolated[0]!)
    at.commit()
    expect(step(at.source)).toEqual([16, 17, 18])
  })

  it('that lag far become a backlog, and are live at once', () => {
    using at = startPlace()
    isolateOne(at)
    at.commit(2)
    step(at.source)
    at.source.plan.deferIsolated(at.source.plan.isolated[0]!, 'backfill')
    at.commit()
    expect(step(at.source)).toEqual([13, 14, 15])
    expect(step(at.source.backfill)).toEqual(ofPartitions(1, 12, 1))
    expect(at.notes.map(({ kind }) => kind)).toEqual(['behind', 'caught up', 'behind', 'caught up'])
  })

  it('are delivered before a backlog that was split earlier and begins later', () => {
    using at = startPlace()
    isolateOne(at)
    at.commit(2)
    at.source.plan.splitBacklog('backfill')
    at.source.plan.deferIsolated(at.source.plan.isolated[0]!, 'backfill')
    const all: number[] = []
    for (let batch = step(at.source.backfill); batch; batch = step(at.source.backfill))
      all.push(...batch)
    expect(all).toEqual([...ofPartitions(1, 12, 1), ...ofPartitions(7, 12, 0, 2)])
  })

  it('are redirected to another topic with the others, and no event is skipped', () => {
    using at = startPlace()
    isolateOne(at)
    at.commit()
    step(at.source)
    at.source.ensureLiveRange('others', 7)
    const batch = at.source.readBatch(limits)!
    expect([batch.range.topic, batch.range.partitions]).toEqual(['others', 7])
    expect(numbersOf(batch.events)).toEqual(span(1, 9))
    expect(at.source.plan.isolated).toEqual([])
  })
})

describe('a change of the partition count', () => {
  it('applies to events after the last stored one, once all earlier events are delivered', () => {
    using at = startPlace()
    at.commit(2)
    at.source.ensureLiveRange('readings', PARTITIONS)
    expect(at.source.plan.changePartitions(12)).toBe(7)
    at.commit()
    const old = at.source.readBatch(limits)!
    expect([old.range.partitions, numbersOf(old.events)]).toEqual([3, span(1, 6)])
    expect(at.source.readBatch(limits)!.range.partitions).toBe(3)
    at.source.advance(old)
    at.restart()
    const fresh = at.source.readBatch(limits)!
    expect([fresh.range.partitions, numbersOf(fresh.events)]).toEqual([12, [7, 8, 9]])
    const content = { behind: 6, partitions: { from: 3, to: 12 } }
    expect(at.notes).toMatchObject([{ kind: 'spread', content }])
  })

  it('takes effect at once when nothing waits', () => {
    using at = startPlace()
    at.commit()
    at.source.ensureLiveRange('readings', PARTITIONS)
    step(at.source)
    expect(at.source.plan.changePartitions(12)).toBe(4)
    at.commit()
    expect(at.source.readBatch(limits)!.range.partitions).toBe(12)
    expect(at.source.ranges.length).toBe(1)
  })

  it('becomes backlogs when it lags, each with its own partition count', () => {
    using at = startPlace()
    at.commit(2)
    at.source.ensureLiveRange('readings', PARTITIONS)
    at.source.plan.changePartitions(12)
    at.source.plan.splitBacklog('backfill')
    at.commit(2)
    at.source.plan.splitBacklog('backfill')
    at.commit()
    expect(step(at.source)).toEqual([13, 14, 15])
    const parts = [at.source.backfill.readBatch(limits)!]
    at.source.backfill.advance(parts[0]!)
    parts.push(at.source.backfill.readBatch(limits)!)
    expect(parts.map(({ range, events }) => [range.partitions, numbersOf(events)])).toEqual([
      [3, span(1, 6)],
      [12, span(7, 12)],
    ])
  })

  it('becomes backlogs at once when both parts wait, and is not split again', () => {
    using at = startPlace()
    at.commit(2)
    at.source.ensureLiveRange('readings', PARTITIONS)
    at.source.plan.changePartitions(12)
    at.commit()
    at.source.plan.splitBacklog('backfill')
    at.source.plan.splitBacklog('backfill')
    expect(at.source.ranges.map(({ next, end }) => [next, end])).toEqual([
      [1, 6],
      [7, 9],
      [10, null],
    ])
  })
})
