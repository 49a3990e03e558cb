import { rmSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { copyStore } from './fixture.ts'
import { commit, limits, numbersOf, startPlace } from './place.ts'

describe('the first contact', () => {
  it('opens one range from the oldest group, for ever', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1, 2)
    expect(place.source.look()).toEqual({ id: outbox.store, gateway: 'gw' })
    expect(place.source.take(limits)).toBe(null)
    place.source.begin('readings', 6)
    place.source.begin('readings', 12)
    const { ranges } = place.source
    expect(ranges).toEqual([
      {
        ...{ id: expect.any(Number), store: outbox.store, next: 1, end: null, topic: 'readings' },
        ...{ partitions: 6, zones: null, reason: 'first contact', epoch: null },
      },
    ])
    place.stop()
    place.start()
    place.source.look()
    expect(place.source.ranges).toEqual(ranges)
    outbox.close()
  })

  it('turns what still waits to another topic when that is configured, durably', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1, 2)
    place.source.look()
    place.source.begin('readings', 6)
    place.source.settle(place.source.take(limits)!)
    commit(outbox, 3)
    expect(place.source.isBoundFor('other')).toBe(false)
    place.source.begin('other', 12)
    place.stop()
    place.start()
    place.source.look()
    expect(place.source.ranges).toMatchObject([{ topic: 'other', partitions: 12, next: 3 }])
    expect(place.source.isBoundFor('other')).toBe(true)
    expect(numbersOf(place.source)).toEqual([3])
    outbox.close()
  })

  it('gives what is accepted after the outbox was restored without its bell', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1)
    copyStore(place.outboxFile, `${place.outboxFile}.old`)
    commit(outbox, 2, 3)
    place.source.look()
    place.source.begin('readings', 6)
    place.source.settle(place.source.take(limits)!)
    outbox.close()
    place.stop()
    place.removeOutbox()
    rmSync(`${place.outboxFile}.old.bell`, { force: true })
    copyStore(`${place.outboxFile}.old`, place.outboxFile)
    const { outboxFile: file, inboxFile } = place
    const restored = openOutbox({ file, gateway: 'gw', inboxFile })
    commit(restored, 4)
    place.start()
    place.source.look()
    expect(numbersOf(place.source)).toEqual([4])
    restored.close()
  })

  it('gives what is accepted after a restore below what it had delivered, but not yet durably', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1)
    copyStore(place.outboxFile, `${place.outboxFile}.old`)
    place.source.look()
    place.source.begin('readings', 6)
    place.source.settle(place.source.take(limits)!)
    commit(outbox, 2, 3, 4)
    place.source.settle(place.source.take(limits)!)
    outbox.close()
    place.removeOutbox()
    copyStore(`${place.outboxFile}.old`, place.outboxFile)
    const { outboxFile: file, inboxFile } = place
    const restored = openOutbox({ file, gateway: 'gw', inboxFile })
    const [span] = place.source.ranges
    expect(restored.rewound(span!)).toBe(5)
    commit(restored, 5, 6)
    expect(restored.rewound(span!)).toBe(2)
    place.source.look()
    expect(numbersOf(place.source)).toEqual([5, 6])
    place.source.settle(place.source.take(limits)!)
    commit(restored, 7)
    expect(numbersOf(place.source)).toEqual([7])
    expect(restored.rewound(place.source.ranges[0]!)).toBe(4)
    restored.close()
  })

  it('begins at 1 in an outbox without events, and does nothing without an outbox', () => {
    using place = startPlace()
    place.source.begin('readings', 6)
    expect(place.source.ranges).toEqual([])
    const outbox = place.openOutbox()
    place.source.look()
    place.source.begin('readings', 6)
    expect(place.source.ranges).toMatchObject([{ next: 1 }])
    outbox.close()
  })
})

describe('taking and settling', () => {
  it('gives the same until it is settled, and goes on behind it, in another process too', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1, 2)
    place.source.look()
    place.source.begin('readings', 6)
    expect(numbersOf(place.source)).toEqual([1, 2])
    expect(numbersOf(place.source)).toEqual([1, 2])
    place.source.settle(place.source.take(limits)!)
    expect(place.source.take(limits)).toBe(null)
    commit(outbox, 3)
    expect(numbersOf(place.source)).toEqual([3])
    place.stop()
    place.start()
    place.source.look()
    expect(numbersOf(place.source)).toEqual([3])
    outbox.close()
  })

  it('takes from the ranges in their order', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1, 2, 3)
    const range = { store: outbox.store, partitions: 6, zones: null, reason: 'test' }
    place.inbox.addRange({ ...range, next: 3, end: null, topic: 'live' })
    place.inbox.addRange({ ...range, next: 1, end: 2, topic: 'backfill' })
    place.source.look()
    const first = place.source.take(limits)!
    expect([first.range.topic, first.next]).toEqual(['live', 4])
    place.source.settle(first)
    const second = place.source.take(limits)!
    expect([second.range.topic, second.next]).toEqual(['backfill', 3])
    expect(numbersOf(place.source)).toEqual([1, 2])
    place.source.settle(second)
    expect(place.source.take(limits)).toBe(null)
    outbox.close()
  })

  it('gives notes and backlog of the outbox that is there', () => {
    using place = startPlace()
    expect(place.source.notesFrom(1)).toEqual([])
    expect(place.source.backlog()).toBe(null)
    const outbox = place.openOutbox()
    commit(outbox, 1, 2)
    place.source.look()
    expect(place.source.notesFrom(1)).toMatchObject([{ sequence: 1, kind: 'epoch' }])
    expect(place.source.backlog()).toMatchObject({ events: 2 })
    place.source.begin('readings', 6)
    place.source.settle(place.source.take(limits)!)
    expect(place.source.backlog()).toMatchObject({ events: 0 })
    outbox.close()
  })

  it('waits for the bell of a store that comes later, and ends a wait when closed', async () => {
    using place = startPlace()
    await place.source.arrival(1)
    const outbox = place.openOutbox()
    await place.source.arrival(1)
    const rang = place.source.arrival(1_000_000)
    commit(outbox, 1)
    await rang
    await place.source.arrival(1)
    const woken = place.source.arrival(1_000_000)
    place.source.wake()
    await woken
    outbox.close()
  })
})
