import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { decodeEvent } from '../../../config/events.ts'
import { type EventSource, openEventSource } from '../../../gateway/store/event-source.ts'
import { type Inbox, openInbox } from '../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { OUTBOX_ID, outboxMigrations, prepare } from '../../../gateway/store/schema.ts'
import { copyStore, reading, temporary } from './fixture.ts'

const limits = { maxEvents: 1000, maxBytes: 1_000_000 }

/** A place with an inbox and a source on an outbox that may come and go. */
function startPlace() {
  const place = temporary()
  const outboxFile = place.file('outbox.db')
  const inboxFile = place.file('inbox.db')
  let inbox: Inbox
  let source: EventSource
  const start = () => {
    inbox = openInbox({ file: inboxFile, settleMs: 1_000_000 })
    source = openEventSource({ outboxFile, inbox })
  }
  const stop = () => {
    source.close()
    inbox.close()
  }
  start()
  return {
    ...{ outboxFile, inboxFile, start, stop },
    get inbox() {
      return inbox
    },
    get source() {
      return source
    },
    openOutbox: () => openOutbox({ file: outboxFile, gateway: 'gw' }),
    removeOutbox() {
      for (const end of ['', '-wal', '-shm']) rmSync(outboxFile + end, { force: true })
    },
    [Symbol.dispose]() {
      stop()
      place[Symbol.dispose]()
    },
  }
}

type Outbox = ReturnType<typeof openOutbox>
const commit = (outbox: Outbox, ...numbers: number[]) =>
  outbox.commit({ readings: numbers.map(number => reading('z', number)), deadLetters: [] })
const numbersOf = (source: EventSource) =>
  source.take(limits)?.events.map(({ value }) => decodeEvent(value).measurements[0]!.number) ?? []

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
        ...{ partitions: 6, zones: null, reason: 'first contact' },
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
    rmSync(`${place.outboxFile}.bell`)
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

describe('an outbox that cannot be read', () => {
  it('is a state while it is missing, empty, foreign or half made', () => {
    using place = startPlace()
    const { outboxFile, source } = place
    const isNothing = () => {
      expect(source.look()).toBe(null)
      expect(source.store).toBe(null)
      expect(source.ranges).toEqual([])
      expect(source.take(limits)).toBe(null)
    }
    isNothing()
    writeFileSync(outboxFile, '')
    isNothing()
    writeFileSync(outboxFile, 'some text that is no database '.repeat(500))
    isNothing()
    rmSync(outboxFile)
    copyFileSync(place.inboxFile, outboxFile)
    isNothing()
    rmSync(outboxFile)
    const half = new Database(outboxFile)
    prepare(half, OUTBOX_ID, outboxMigrations)
    isNothing()
    half.close()
    const outbox = place.openOutbox()
    expect(source.look()).toEqual({ id: outbox.store, gateway: 'gw' })
    outbox.close()
  })

  it('is a state while somebody holds it for himself', () => {
    using place = startPlace()
    const { source, outboxFile } = place
    const outbox = place.openOutbox()
    commit(outbox, 1)
    source.look()
    source.begin('readings', 6)
    outbox.close()
    source.close()
    const holder = new Database(outboxFile)
    holder.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM heads')
    const late = openEventSource({ outboxFile, inbox: place.inbox })
    expect(late.look()).toBe(null)
    holder.close()
    late.look()
    expect(numbersOf(late)).toEqual([1])
    late.close()
  })

  it('that was replaced is another store, and the old one is not read on', () => {
    using place = startPlace()
    const { source } = place
    const old = place.openOutbox()
    commit(old, 1, 2)
    source.look()
    source.begin('readings', 6)
    source.settle(source.take(limits)!)
    commit(old, 3)
    old.close()
    place.removeOutbox()
    const replaced = place.openOutbox()
    commit(replaced, 7)
    expect(source.look()).toEqual({ id: replaced.store, gateway: 'gw' })
    expect(source.ranges).toEqual([])
    source.begin('readings', 6)
    expect(numbersOf(source)).toEqual([7])
    replaced.close()
  })

  it('goes on where it stood when an outbox comes back', () => {
    using place = startPlace()
    const { source, outboxFile } = place
    const first = place.openOutbox()
    commit(first, 1)
    source.look()
    source.begin('readings', 6)
    source.settle(source.take(limits)!)
    commit(first, 2)
    first.close()
    copyStore(outboxFile, `${outboxFile}-away`)
    place.removeOutbox()
    place.openOutbox().close()
    source.look()
    expect(source.take(limits)).toBe(null)
    place.removeOutbox()
    copyStore(`${outboxFile}-away`, outboxFile)
    expect(source.look()!.id).toEqual(first.store)
    expect(numbersOf(source)).toEqual([2])
  })
})
