import { renameSync, rmSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { replayReason } from '../../../../gateway/store/delivery/replay-period.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { copyStore } from '../fixture.ts'
import { commit, limits, numbersOf, openStores } from './source-fixture.ts'

describe('the first contact', () => {
  it('adds one open range from the oldest group', () => {
    using stores = openStores()
    const outbox = stores.openOutbox()
    commit(outbox, 1, 2)
    expect(stores.source.refresh()).toEqual({ id: outbox.store, gateway: 'gw' })
    expect(stores.source.readBatch(limits)).toBe(null)
    stores.source.ensureLiveRange('readings', 6)
    stores.source.ensureLiveRange('readings', 12)
    const { ranges } = stores.source
    expect(ranges).toEqual([
      {
        ...{ id: expect.any(Number), store: outbox.store, next: 1, end: null, topic: 'readings' },
        ...{ partitions: 6, zones: null, kind: 'live', reason: 'first contact' },
      },
    ])
    stores.stop()
    stores.start()
    stores.source.refresh()
    expect(stores.source.ranges).toEqual(ranges)
    outbox.close()
  })

  it('redirects undelivered events to another configured topic, durably', () => {
    using stores = openStores()
    const outbox = stores.openOutbox()
    commit(outbox, 1, 2)
    stores.source.refresh()
    stores.source.ensureLiveRange('readings', 6)
    stores.source.advance(stores.source.readBatch(limits)!)
    commit(outbox, 3)
    expect(stores.source.sendsTo('other')).toBe(false)
    stores.source.ensureLiveRange('other', 12)
    stores.stop()
    stores.start()
    stores.source.refresh()
    expect(stores.source.ranges).toMatchObject([{ topic: 'other', partitions: 12, next: 3 }])
    expect(stores.source.sendsTo('other')).toBe(true)
    expect(numbersOf(stores.source)).toEqual([3])
    outbox.close()
  })

  it('gives events accepted after the outbox was restored without its bell', () => {
    using stores = openStores()
    const outbox = stores.openOutbox()
    commit(outbox, 1)
    copyStore(stores.outboxFile, `${stores.outboxFile}.old`)
    commit(outbox, 2, 3)
    stores.source.refresh()
    stores.source.ensureLiveRange('readings', 6)
    stores.source.advance(stores.source.readBatch(limits)!)
    outbox.close()
    stores.stop()
    stores.removeOutbox()
    rmSync(`${stores.outboxFile}.old.bell`, { force: true })
    copyStore(`${stores.outboxFile}.old`, stores.outboxFile)
    const { outboxFile: file, inboxFile } = stores
    const restored = openOutbox({ file, gateway: 'gw', inboxFile })
    commit(restored, 4)
    stores.start()
    stores.source.refresh()
    expect(numbersOf(stores.source)).toEqual([4])
    restored.close()
  })

  it('gives events accepted after a restore below the delivered, not yet durable position', () => {
    using stores = openStores()
    const outbox = stores.openOutbox()
    commit(outbox, 1)
    copyStore(stores.outboxFile, `${stores.outboxFile}.old`)
    stores.source.refresh()
    stores.source.ensureLiveRange('readings', 6)
    stores.source.advance(stores.source.readBatch(limits)!)
    commit(outbox, 2, 3, 4)
    stores.source.advance(stores.source.readBatch(limits)!)
    outbox.writeZoneHeads()
    const lastNote = stores.source.notesFrom(1).at(-1)!.sequence
    stores.inbox.moveNotes(outbox.store, lastNote + 1)
    outbox.close()
    stores.removeOutbox()
    rmSync(`${stores.outboxFile}.old.bell`, { force: true })
    copyStore(`${stores.outboxFile}.old`, stores.outboxFile)
    const { outboxFile: file, inboxFile } = stores
    const restored = openOutbox({ file, gateway: 'gw', inboxFile })
    commit(restored, 5, 6)
    stores.source.refresh()
    expect(numbersOf(stores.source)).toEqual([5, 6])
    stores.source.advance(stores.source.readBatch(limits)!)
    commit(restored, 7)
    expect(numbersOf(stores.source)).toEqual([7])
    const notes = stores.source.notesFrom(stores.inbox.nextNote(restored.store)!)
    expect(notes.map(({ kind }) => kind)).toEqual(['epoch', 'hole'])
    restored.close()
  })

  it('starts at 1 in an outbox without events, and does nothing without an outbox', () => {
    using stores = openStores()
    stores.source.ensureLiveRange('readings', 6)
    expect(stores.source.ranges).toEqual([])
    const outbox = stores.openOutbox()
    stores.source.refresh()
    stores.source.ensureLiveRange('readings', 6)
    expect(stores.source.ranges).toMatchObject([{ next: 1 }])
    outbox.close()
  })
})

describe('reading batches and advancing', () => {
  it('gives the same batch until the range advances, and then the next, in another process too', () => {
    using stores = openStores()
    const outbox = stores.openOutbox()
    commit(outbox, 1, 2)
    stores.source.refresh()
    stores.source.ensureLiveRange('readings', 6)
    expect(numbersOf(stores.source)).toEqual([1, 2])
    expect(numbersOf(stores.source)).toEqual([1, 2])
    stores.source.advance(stores.source.readBatch(limits)!)
    expect(stores.source.readBatch(limits)).toBe(null)
    commit(outbox, 3)
    expect(numbersOf(stores.source)).toEqual([3])
    stores.stop()
    stores.start()
    stores.source.refresh()
    expect(numbersOf(stores.source)).toEqual([3])
    outbox.close()
  })

  it('reads live events and the backfill independently', () => {
    using stores = openStores()
    const outbox = stores.openOutbox()
    commit(outbox, 1, 2, 3)
    const range = { store: outbox.store, partitions: 6, zones: null, reason: 'test' }
    stores.inbox.addRange({ ...range, next: 3, end: null, topic: 'live', kind: 'live' })
    const deferral = { note: 1, from: 1, to: 2 }
    const backlog = { ...range, topic: 'backfill', kind: 'backlog', deferral } as const
    stores.inbox.addRange({ ...backlog, next: 1, end: 2 })
    stores.source.refresh()
    const first = stores.source.readBatch(limits)!
    expect([first.range.topic, first.next]).toEqual(['live', 4])
    stores.source.advance(first)
    expect(stores.source.readBatch(limits)).toBe(null)
    const second = stores.source.backfill.readBatch(limits)!
    expect([second.range.topic, second.next]).toEqual(['backfill', 3])
    expect(second.events.map(({ sequence }) => sequence)).toEqual([1, 2])
    stores.source.backfill.advance(second)
    expect(stores.source.backfill.readBatch(limits)).toBe(null)
    outbox.close()
  })

  it('gives the notes and the backlog of the present outbox', () => {
    using stores = openStores()
    expect(stores.source.notesFrom(1)).toEqual([])
    expect(stores.source.backlog()).toBe(null)
    const outbox = stores.openOutbox()
    commit(outbox, 1, 2)
    stores.source.refresh()
    expect(stores.source.notesFrom(1)).toMatchObject([{ sequence: 1, kind: 'epoch' }])
    expect(stores.source.backlog()).toMatchObject({ events: 2 })
    stores.source.ensureLiveRange('readings', 6)
    stores.source.advance(stores.source.readBatch(limits)!)
    expect(stores.source.backlog()).toMatchObject({ events: 0 })
    outbox.close()
  })

  it('waits for the bell of a store that is created later, and ends a wait when closed', async () => {
    using stores = openStores()
    await stores.source.waitForCommit(1)
    const outbox = stores.openOutbox()
    await stores.source.waitForCommit(1)
    const rung = stores.source.waitForCommit(1_000_000)
    commit(outbox, 1)
    await rung
    await stores.source.waitForCommit(1)
    const woken = stores.source.waitForCommit(1_000_000)
    stores.source.wake()
    await woken
    outbox.close()
  })
})

describe('a replay', () => {
  /** Six delivered groups of one event. */
  const startReplays = () => {
    const stores = openStores()
    const outbox = stores.openOutbox()
    for (const number of [1, 2, 3, 4, 5, 6]) commit(outbox, number)
    stores.source.refresh()
    stores.source.ensureLiveRange('readings', 3)
    stores.source.advance(stores.source.readBatch(limits)!)
    const addReplay = (next: number, end: number, zones: string | null = null) =>
      stores.source.addReplay({
        ...{ next, end, zones, topic: 'backfill', partitions: 3 },
        reason: replayReason(0, 1),
      })
    const sequences = (maxEvents: number) => {
      const batch = stores.source.backfill.readBatch({ ...limits, maxEvents })
      if (batch) stores.source.backfill.advance(batch)
      return batch?.events.map(({ sequence }) => sequence) ?? null
    }
    const use = {
      [Symbol.dispose]() {
        outbox.close()
        stores[Symbol.dispose]()
      },
    }
    return { place: stores, outbox, again: addReplay, sequences, ...use }
  }

  it('is no part of the backlog, and is read from its first to its last event, after other replays', () => {
    using setup = startReplays()
    setup.again(2, 4)
    setup.again(6, 6)
    expect(setup.place.source.readBatch(limits)).toBe(null)
    expect(setup.place.source.backlog()).toMatchObject({ events: 0, bytes: 0 })
    expect(setup.sequences(2)).toEqual([2, 3])
    expect(setup.sequences(2)).toEqual([4])
    expect(setup.sequences(2)).toEqual([6])
    expect(setup.sequences(2)).toBe(null)
    expect(setup.place.source.ranges).toMatchObject([{ end: null, next: 7 }])
  })

  it('continues in another process; a finished replay is gone there too', () => {
    using setup = startReplays()
    setup.again(1, 2)
    setup.again(3, 6)
    setup.sequences(2)
    expect(setup.sequences(2)).toEqual([3, 4])
    setup.place.stop()
    setup.place.start()
    setup.place.source.refresh()
    expect(setup.place.source.ranges).toMatchObject([{ end: null }, { next: 5, end: 6 }])
    expect(setup.sequences(2)).toEqual([5, 6])
    expect(setup.sequences(2)).toBe(null)
  })

  it('is not sent twice when the outbox is reopened during a send', () => {
    using setup = startReplays()
    setup.again(1, 3)
    const batch = setup.place.source.backfill.readBatch({ ...limits, maxEvents: 2 })!
    copyStore(setup.place.outboxFile, `${setup.place.outboxFile}.healed`)
    renameSync(`${setup.place.outboxFile}.healed`, setup.place.outboxFile)
    renameSync(`${setup.place.outboxFile}.healed-wal`, `${setup.place.outboxFile}-wal`)
    setup.place.source.refresh()
    setup.place.source.backfill.advance(batch)
    expect(setup.sequences(2)).toEqual([3])
    expect(setup.place.source.ranges).toHaveLength(1)
  })

  it('goes to the present backfill topic', () => {
    using setup = startReplays()
    setup.again(1, 3)
    setup.place.source.backfill.redirect('elsewhere')
    setup.place.stop()
    setup.place.start()
    setup.place.source.refresh()
    expect(setup.place.source.ranges).toMatchObject([{ topic: 'readings' }, { topic: 'elsewhere' }])
  })

  it('does not block other ranges while its numbers are not stored yet', () => {
    using setup = startReplays()
    setup.again(9, 9)
    setup.again(1, 1)
    expect(setup.sequences(5)).toEqual([1])
    expect(setup.sequences(5)).toBe(null)
  })
})
