import { expect, it } from 'vitest'
import { partitionOf } from '../../../../config/event/partitioner.ts'
import { openInboxReader } from '../../../../gateway/store/delivery/inbox-reader.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { openOutboxReader } from '../../../../gateway/store/read/outbox-reader.ts'
import { createActiveRanges } from '../../../../gateway/store/source/active-ranges.ts'
import { openEventSource } from '../../../../gateway/store/source/event-source.ts'
import { createRangeSources } from '../../../../gateway/store/source/range-sources.ts'
import { reading, temporary } from '../fixture.ts'

/** One zone for each partition. */
const zones = [0, 1, 2].map(
  directory =>
    Array.from({ length: 60 }, (_, number) => `zone ${number}`).find(
      name => partitionOf(Buffer.from(name), 3) === directory,
    )!,
)

function openStores() {
  const directory = temporary()
  const outboxFile = directory.file('outbox.db')
  const outbox = openOutbox({ file: outboxFile, gateway: 'gw' })
  for (let group = 0; group < 10; group++) {
    outbox.commit({ readings: zones.map(zone => reading(zone)) })
  }
  const inboxFile = directory.file('inbox.db')
  const inbox = openInbox({ file: inboxFile, settleMs: 1 })
  return {
    ...{ outboxFile, inboxFile, outbox, inbox },
    [Symbol.dispose]() {
      inbox.close()
      outbox.close()
      directory[Symbol.dispose]()
    },
  }
}

it.each([
  ['a backlog', 'backlog'],
  ['the rest from before a change of partitions', 'live'],
] as const)('%s that cannot be read for a moment is not overtaken', (_, kind) => {
  using stores = openStores()
  const reader = openOutboxReader(stores.outboxFile)!
  const ranges = createActiveRanges(stores.inbox)
  const common = { store: reader.store, topic: 'b', partitions: 3, zones: null, kind, reason: '' }
  const deferred = (note: number, from: number, to: number) =>
    kind === 'backlog' ? { deferral: { note, from, to } } : {}
  ranges.addRange({ ...common, next: 1, end: 15, ...deferred(1, 1, 15) })
  const end = kind === 'live' ? null : 30
  ranges.addRange({ ...common, next: 16, end, ...deferred(2, 16, 30) })
  let isBusy = true
  const racing = {
    ...reader,
    groupAt: (number: number) => (isBusy && number === 1 ? null : reader.groupAt(number)),
  }
  const readOrElse = (_: unknown, read: (reader: unknown) => unknown) => read(racing)
  const outbox = { readOrElse }
  const sources = createRangeSources(ranges, outbox as never, stores.inbox)
  const { readBatch, advance } = kind === 'live' ? sources : sources.backfill
  const order: number[] = []
  for (let step = 0; step < 10; step++) {
    const batch = readBatch({ maxEvents: 6, maxBytes: 1e6 })
    isBusy = false
    if (!batch) continue
    order.push(...batch.events.map(({ sequence }) => sequence))
    advance(batch)
  }
  expect(order).toEqual(Array.from({ length: 30 }, (_, index) => index + 1))
  reader.close()
})

it('isolated partitions count in proportion, and the gateway knows both positions', () => {
  using stores = openStores()
  const source = openEventSource({ outboxFile: stores.outboxFile, inbox: stores.inbox })
  source.refresh()
  source.ensureLiveRange('r', 3)
  source.plan.isolate(source.readBatch({ maxEvents: 30, maxBytes: 1e6 })!, [2])
  expect(source.backlog()!.events).toBe(10)
  const spans = openInboxReader(stores.inboxFile)(stores.outbox.store).pendingRanges!
  expect(spans.map(({ next }) => next).sort((a, b) => a - b)).toEqual([1, 31])
  source.close()
})

it('no partition is isolated while events from before a change of partitions are sent', () => {
  using stores = openStores()
  const source = openEventSource({ outboxFile: stores.outboxFile, inbox: stores.inbox })
  source.refresh()
  source.ensureLiveRange('r', 3)
  const before = source.readBatch({ maxEvents: 6, maxBytes: 1e6 })!
  expect(source.plan.canIsolate(before)).toBe(true)
  source.plan.changePartitions(6)
  expect(source.plan.canIsolate(source.readBatch({ maxEvents: 6, maxBytes: 1e6 })!)).toBe(false)
  source.close()
})

it('a range id that is used again does not get the position of the earlier range', () => {
  using stores = openStores()
  const range = { store: stores.outbox.store, end: null, topic: 't', partitions: 3, zones: null }
  const { id } = stores.inbox.addRange({ ...range, next: 1, kind: 'live', reason: 'live' })
  stores.inbox.moveRange({ id, next: 9 })
  const old = stores.inbox.rangesOf(stores.outbox.store)[0]!
  const { added } = stores.inbox.editRanges(() => ({
    removed: [old],
    added: [{ ...range, next: 2, kind: 'live', reason: 'live' }],
  }))
  expect(added[0]!.id).toBe(id)
  stores.inbox.flush()
  expect(stores.inbox.rangesOf(stores.outbox.store)[0]!.next).toBe(2)
})
