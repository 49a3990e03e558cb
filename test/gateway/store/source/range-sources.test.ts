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

/** A zone of each partition. */
const zones = [0, 1, 2].map(
  place =>
    Array.from({ length: 60 }, (_, number) => `zone ${number}`).find(
      name => partitionOf(Buffer.from(name), 3) === place,
    )!,
)

function startPlace() {
  const place = temporary()
  const outboxFile = place.file('outbox.db')
  const outbox = openOutbox({ file: outboxFile, gateway: 'gw' })
  for (let group = 0; group < 10; group++) {
    outbox.commit({ readings: zones.map(zone => reading(zone)) })
  }
  const inboxFile = place.file('inbox.db')
  const inbox = openInbox({ file: inboxFile, settleMs: 1 })
  return {
    ...{ outboxFile, inboxFile, outbox, inbox },
    [Symbol.dispose]() {
      inbox.close()
      outbox.close()
      place[Symbol.dispose]()
    },
  }
}

it.each([
  [
    'a backlog',
    'behind',
    ['backlog since note 1 from 1 to 15', 'backlog since note 2 from 16 to 30'],
  ],
  ['what is before a spread', 'live', ['spread', 'live']],
] as const)('%s that cannot be read for a moment is not overtaken', (_, kind, reasons) => {
  using at = startPlace()
  const reader = openOutboxReader(at.outboxFile)!
  const ranges = createActiveRanges(at.inbox)
  const of = { store: reader.store, topic: 'b', partitions: 3, zones: null }
  ranges.addRange({ ...of, next: 1, end: 15, reason: reasons[0] })
  ranges.addRange({ ...of, next: 16, end: kind === 'live' ? null : 30, reason: reasons[1] })
  let isBusy = true
  const racing = {
    ...reader,
    groupAt: (number: number) => (isBusy && number === 1 ? null : reader.groupAt(number)),
  }
  const outbox = { reading: (_: unknown, read: (from: unknown) => unknown) => read(racing) }
  const sources = createRangeSources(ranges, outbox as never, at.inbox)
  const { readBatch: take, advance: settle } = kind === 'live' ? sources : sources.backfill
  const order: number[] = []
  for (let step = 0; step < 10; step++) {
    const taken = take({ maxEvents: 6, maxBytes: 1e6 })
    isBusy = false
    if (!taken) continue
    order.push(...taken.events.map(({ sequence }) => sequence))
    settle(taken)
  }
  expect(order).toEqual(Array.from({ length: 30 }, (_, index) => index + 1))
  reader.close()
})

it('partitions apart count with their share, and the gateway knows where both stand', () => {
  using at = startPlace()
  const source = openEventSource({ outboxFile: at.outboxFile, inbox: at.inbox })
  source.refresh()
  source.ensureLiveRange('r', 3)
  source.plan.isolate(source.readBatch({ maxEvents: 30, maxBytes: 1e6 })!, [2])
  expect(source.backlog()!.events).toBe(10)
  const spans = openInboxReader(at.inboxFile)(at.outbox.store).pendingRanges!
  expect(spans.map(({ next }) => next).sort((a, b) => a - b)).toEqual([1, 31])
  source.close()
})

it('nothing is set apart while what is before a spread goes', () => {
  using at = startPlace()
  const source = openEventSource({ outboxFile: at.outboxFile, inbox: at.inbox })
  source.refresh()
  source.ensureLiveRange('r', 3)
  const before = source.readBatch({ maxEvents: 6, maxBytes: 1e6 })!
  expect(source.plan.canIsolate(before)).toBe(true)
  source.plan.changePartitions(6)
  expect(source.plan.canIsolate(source.readBatch({ maxEvents: 6, maxBytes: 1e6 })!)).toBe(false)
  source.close()
})

it('an id that is given out again does not get the position of the one before', () => {
  using at = startPlace()
  const range = { store: at.outbox.store, end: null, topic: 't', partitions: 3, zones: null }
  const { id } = at.inbox.addRange({ ...range, next: 1, reason: 'live' })
  at.inbox.moveRange({ id, next: 9 })
  const old = at.inbox.rangesOf(at.outbox.store)[0]!
  const { added } = at.inbox.editRanges(() => ({
    removed: [old],
    added: [{ ...range, next: 2, reason: 'live' }],
  }))
  expect(added[0]!.id).toBe(id)
  at.inbox.flush()
  expect(at.inbox.rangesOf(at.outbox.store)[0]!.next).toBe(2)
})
