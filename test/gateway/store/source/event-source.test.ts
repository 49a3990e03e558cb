import { renameSync, rmSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { replayReason } from '../../../../gateway/store/delivery/range-kind.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { copyStore } from '../fixture.ts'
import { commit, limits, numbersOf, startPlace } from './source-fixture.ts'

describe('the first contact', () => {
  it('opens one range from the oldest group, for ever', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1, 2)
    expect(place.source.refresh()).toEqual({ id: outbox.store, gateway: 'gw' })
    expect(place.source.readBatch(limits)).toBe(null)
    place.source.ensureLiveRange('readings', 6)
    place.source.ensureLiveRange('readings', 12)
    const { ranges } = place.source
    expect(ranges).toEqual([
      {
        ...{ id: expect.any(Number), store: outbox.store, next: 1, end: null, topic: 'readings' },
        ...{ partitions: 6, zones: null, reason: 'first contact' },
      },
    ])
    place.stop()
    place.start()
    place.source.refresh()
    expect(place.source.ranges).toEqual(ranges)
    outbox.close()
  })

  it('turns what still waits to another topic when that is configured, durably', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1, 2)
    place.source.refresh()
    place.source.ensureLiveRange('readings', 6)
    place.source.advance(place.source.readBatch(limits)!)
    commit(outbox, 3)
    expect(place.source.sendsTo('other')).toBe(false)
    place.source.ensureLiveRange('other', 12)
    place.stop()
    place.start()
    place.source.refresh()
    expect(place.source.ranges).toMatchObject([{ topic: 'other', partitions: 12, next: 3 }])
    expect(place.source.sendsTo('other')).toBe(true)
    expect(numbersOf(place.source)).toEqual([3])
    outbox.close()
  })

  it('gives what is accepted after the outbox was restored without its bell', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1)
    copyStore(place.outboxFile, `${place.outboxFile}.old`)
    commit(outbox, 2, 3)
    place.source.refresh()
    place.source.ensureLiveRange('readings', 6)
    place.source.advance(place.source.readBatch(limits)!)
    outbox.close()
    place.stop()
    place.removeOutbox()
    rmSync(`${place.outboxFile}.old.bell`, { force: true })
    copyStore(`${place.outboxFile}.old`, place.outboxFile)
    const { outboxFile: file, inboxFile } = place
    const restored = openOutbox({ file, gateway: 'gw', inboxFile })
    commit(restored, 4)
    place.start()
    place.source.refresh()
    expect(numbersOf(place.source)).toEqual([4])
    restored.close()
  })

  it('gives what is accepted after a restore below what it had delivered, but not yet durably', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1)
    copyStore(place.outboxFile, `${place.outboxFile}.old`)
    place.source.refresh()
    place.source.ensureLiveRange('readings', 6)
    place.source.advance(place.source.readBatch(limits)!)
    commit(outbox, 2, 3, 4)
    place.source.advance(place.source.readBatch(limits)!)
    outbox.writeZoneHeads()
    const lastNote = place.source.notesFrom(1).at(-1)!.sequence
    place.inbox.moveNotes(outbox.store, lastNote + 1)
    outbox.close()
    place.removeOutbox()
    rmSync(`${place.outboxFile}.old.bell`, { force: true })
    copyStore(`${place.outboxFile}.old`, place.outboxFile)
    const { outboxFile: file, inboxFile } = place
    const restored = openOutbox({ file, gateway: 'gw', inboxFile })
    commit(restored, 5, 6)
    place.source.refresh()
    expect(numbersOf(place.source)).toEqual([5, 6])
    place.source.advance(place.source.readBatch(limits)!)
    commit(restored, 7)
    expect(numbersOf(place.source)).toEqual([7])
    const notes = place.source.notesFrom(place.inbox.nextNote(restored.store)!)
    expect(notes.map(({ kind }) => kind)).toEqual(['epoch', 'hole'])
    restored.close()
  })

  it('begins at 1 in an outbox without events, and does nothing without an outbox', () => {
    using place = startPlace()
    place.source.ensureLiveRange('readings', 6)
    expect(place.source.ranges).toEqual([])
    const outbox = place.openOutbox()
    place.source.refresh()
    place.source.ensureLiveRange('readings', 6)
    expect(place.source.ranges).toMatchObject([{ next: 1 }])
    outbox.close()
  })
})

describe('taking and settling', () => {
  it('gives the same until it is settled, and goes on behind it, in another process too', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1, 2)
    place.source.refresh()
    place.source.ensureLiveRange('readings', 6)
    expect(numbersOf(place.source)).toEqual([1, 2])
    expect(numbersOf(place.source)).toEqual([1, 2])
    place.source.advance(place.source.readBatch(limits)!)
    expect(place.source.readBatch(limits)).toBe(null)
    commit(outbox, 3)
    expect(numbersOf(place.source)).toEqual([3])
    place.stop()
    place.start()
    place.source.refresh()
    expect(numbersOf(place.source)).toEqual([3])
    outbox.close()
  })

  it('takes what is live and what goes behind it on their own', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1, 2, 3)
    const range = { store: outbox.store, partitions: 6, zones: null, reason: 'test' }
    place.inbox.addRange({ ...range, next: 3, end: null, topic: 'live' })
    const reason = 'backlog since note 1'
    place.inbox.addRange({ ...range, next: 1, end: 2, topic: 'backfill', reason })
    place.source.refresh()
    const first = place.source.readBatch(limits)!
    expect([first.range.topic, first.next]).toEqual(['live', 4])
    place.source.advance(first)
    expect(place.source.readBatch(limits)).toBe(null)
    const second = place.source.backfill.readBatch(limits)!
    expect([second.range.topic, second.next]).toEqual(['backfill', 3])
    expect(second.events.map(({ sequence }) => sequence)).toEqual([1, 2])
    place.source.backfill.advance(second)
    expect(place.source.backfill.readBatch(limits)).toBe(null)
    outbox.close()
  })

  it('gives notes and backlog of the outbox that is there', () => {
    using place = startPlace()
    expect(place.source.notesFrom(1)).toEqual([])
    expect(place.source.backlog()).toBe(null)
    const outbox = place.openOutbox()
    commit(outbox, 1, 2)
    place.source.refresh()
    expect(place.source.notesFrom(1)).toMatchObject([{ sequence: 1, kind: 'epoch' }])
    expect(place.source.backlog()).toMatchObject({ events: 2 })
    place.source.ensureLiveRange('readings', 6)
    place.source.advance(place.source.readBatch(limits)!)
    expect(place.source.backlog()).toMatchObject({ events: 0 })
    outbox.close()
  })

  it('waits for the bell of a store that comes later, and ends a wait when closed', async () => {
    using place = startPlace()
    await place.source.waitForCommit(1)
    const outbox = place.openOutbox()
    await place.source.waitForCommit(1)
    const rang = place.source.waitForCommit(1_000_000)
    commit(outbox, 1)
    await rang
    await place.source.waitForCommit(1)
    const woken = place.source.waitForCommit(1_000_000)
    place.source.wake()
    await woken
    outbox.close()
  })
})

describe('what is sent once more', () => {
  /** Six delivered groups of one event. */
  const startReplays = () => {
    const place = startPlace()
    const outbox = place.openOutbox()
    for (const number of [1, 2, 3, 4, 5, 6]) commit(outbox, number)
    place.source.refresh()
    place.source.ensureLiveRange('readings', 3)
    place.source.advance(place.source.readBatch(limits)!)
    const again = (next: number, end: number, zones: string | null = null) =>
      place.source.addReplay({
        ...{ next, end, zones, topic: 'backfill', partitions: 3 },
        reason: replayReason(0, 1),
      })
    const sequences = (maxEvents: number) => {
      const taken = place.source.backfill.readBatch({ ...limits, maxEvents })
      if (taken) place.source.backfill.advance(taken)
      return taken?.events.map(({ sequence }) => sequence) ?? null
    }
    const use = {
      [Symbol.dispose]() {
        outbox.close()
        place[Symbol.dispose]()
      },
    }
    return { place, outbox, again, sequences, ...use }
  }

  it('is no part of what waits, and goes from its first to its last event, one after the other', () => {
    using at = startReplays()
    at.again(2, 4)
    at.again(6, 6)
    expect(at.place.source.readBatch(limits)).toBe(null)
    expect(at.place.source.backlog()).toMatchObject({ events: 0, bytes: 0 })
    expect(at.sequences(2)).toEqual([2, 3])
    expect(at.sequences(2)).toEqual([4])
    expect(at.sequences(2)).toEqual([6])
    expect(at.sequences(2)).toBe(null)
    expect(at.place.source.ranges).toMatchObject([{ end: null, next: 7 }])
  })

  it('goes on in another process; what is done is gone there, too', () => {
    using at = startReplays()
    at.again(1, 2)
    at.again(3, 6)
    at.sequences(2)
    expect(at.sequences(2)).toEqual([3, 4])
    at.place.stop()
    at.place.start()
    at.place.source.refresh()
    expect(at.place.source.ranges).toMatchObject([{ end: null }, { next: 5, end: 6 }])
    expect(at.sequences(2)).toEqual([5, 6])
    expect(at.sequences(2)).toBe(null)
  })

  it('is not sent twice when the outbox is opened anew while it is under way', () => {
    using at = startReplays()
    at.again(1, 3)
    const taken = at.place.source.backfill.readBatch({ ...limits, maxEvents: 2 })!
    copyStore(at.place.outboxFile, `${at.place.outboxFile}.healed`)
    renameSync(`${at.place.outboxFile}.healed`, at.place.outboxFile)
    renameSync(`${at.place.outboxFile}.healed-wal`, `${at.place.outboxFile}-wal`)
    at.place.source.refresh()
    at.place.source.backfill.advance(taken)
    expect(at.sequences(2)).toEqual([3])
    expect(at.place.source.ranges).toHaveLength(1)
  })

  it('goes to the topic that is configured now', () => {
    using at = startReplays()
    at.again(1, 3)
    at.place.source.backfill.redirect('elsewhere')
    at.place.stop()
    at.place.start()
    at.place.source.refresh()
    expect(at.place.source.ranges).toMatchObject([{ topic: 'readings' }, { topic: 'elsewhere' }])
  })

  it('keeps nobody from going on when it waits for numbers that are not there', () => {
    using at = startReplays()
    at.again(9, 9)
    at.again(1, 1)
    expect(at.sequences(5)).toEqual([1])
    expect(at.sequences(5)).toBe(null)
  })
})
