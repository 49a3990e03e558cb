import { renameSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { describe, expect, it, vi } from 'vitest'
import { notReadyReasons } from '../../../cloud-bridge/forward/bridge-status.ts'
import { waitReason } from '../../../cloud-bridge/retry/flow-status.ts'
import { partitionOf } from '../../../config/event/partitioner.ts'
import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import { type Inbox, openInbox } from '../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { openEventSource } from '../../../gateway/store/source/event-source.ts'
import { reading, temporary } from '../../gateway/store/fixture.ts'
import { accept, failUnavailable, startMemoryBridge } from './memory-bridge.ts'

const soon = { timeout: 10_000, interval: 20 }
/** One zone name for each of the three partitions. */
const zones = [0, 1, 2].map(
  partition =>
    Array.from({ length: 60 }, (_, number) => `zone ${number}`).find(
      name => partitionOf(Buffer.from(name), 3) === partition,
    )!,
)

/** An outbox of groups of three events, and a delivery plan left by an earlier bridge. */
function startPlace(groups: number) {
  const place = temporary()
  const outboxFile = place.file('outbox.db')
  const outbox = openOutbox({ file: outboxFile, gateway: 'gw' })
  const commit = (receivedAt?: number) =>
    outbox.commit({
      readings: zones.map(zone => reading(zone, 0, receivedAt === undefined ? {} : { receivedAt })),
    })
  for (let group = 0; group < groups; group++) commit()
  return {
    ...{ ...place, outboxFile, commit },
    plan(make: (source: ReturnType<typeof openEventSource>) => void) {
      const inbox = openInbox({ file: place.file('inbox.db'), settleMs: 1 })
      const source = openEventSource({ outboxFile, inbox })
      source.refresh()
      source.ensureLiveRange('r', 3)
      make(source)
      source.close()
      inbox.close()
    },
    [Symbol.dispose]() {
      outbox.close()
      place[Symbol.dispose]()
    },
  }
}

describe('while the disk of the inbox is full', () => {
  /** An inbox whose disk is full: a change of its delivery plan throws SQLite's error. */
  const full = (inbox: Inbox): Inbox => ({
    ...inbox,
    editRanges() {
      throw new Database.SqliteError('database or disk is full', 'SQLITE_FULL')
    },
  })

  it('sends a backlog that cannot be split off in order', async () => {
    using at = startPlace(20)
    const backfill = { afterMs: 60_000, minEvents: 10, batchMaxEvents: 100, batchMaxBytes: 1e6 }
    const limits = { pollMs: 1000, backfill: { ...backfill, maxBytesPerSecond: null } }
    let sent = 0
    const bridge = startMemoryBridge({
      ...{ dir: at.dir, wrap: full, limits },
      async send(batch) {
        if (batch.topic === 'r') sent += batch.records.length
        return accept(batch)
      },
    })
    await vi.waitFor(() => expect(sent).toBe(60), soon)
    expect(waitReason(bridge.flows.states.events)).toBe(null)
    await bridge.stop()
  })

  it('keeps partitions isolated that cannot be merged, and delivers the others', async () => {
    using at = startPlace(10)
    const limits = { maxEvents: 6, maxBytes: 1e6 }
    at.plan(source => source.plan.isolate(source.readBatch(limits)!, [2]))
    const sent = new Set<number>()
    const bridge = startMemoryBridge({
      ...{ dir: at.dir, wrap: full },
      async send(batch) {
        if (batch.topic !== 'r') return accept(batch)
        for (const { value } of batch.records) sent.add(decodeEvent(value).sequence)
        return accept(batch)
      },
    })
    for (let group = 0; group < 10; group++) {
      at.commit(Date.now())
      await sleep(50)
    }
    // The other partitions' events of the first two groups were delivered before.
    await vi.waitFor(() => expect(sent.size).toBe(56), soon)
    await bridge.stop()
  })
})

describe('a backlog', () => {
  it('that waits is a not-ready reason, although live events are delivered', async () => {
    using at = startPlace(10)
    at.plan(source => source.plan.splitBacklog('b'))
    const bridge = startMemoryBridge({
      dir: at.dir,
      send: batch => (batch.topic === 'b' ? failUnavailable(batch) : accept(batch)),
    })
    const reasons = () => notReadyReasons({ source: bridge.source, flows: bridge.flows.states })
    await vi.waitFor(() => expect(reasons().join()).toContain('backfill waits: unavailable'), soon)
    expect(waitReason(bridge.flows.states.events)).toBe(null)
    await bridge.stop()
  })

  it('is reported to the ledger again at start, before newer events are sent', async () => {
    using at = startPlace(10)
    at.plan(source => source.plan.splitBacklog('b'))
    at.commit(Date.now())
    const order: string[] = []
    const bridge = startMemoryBridge({
      dir: at.dir,
      async send(batch) {
        // The broker of the ledger takes longer than the others.
        if (batch.topic === 'l') await sleep(200)
        order.push(batch.topic)
        return accept(batch)
      },
    })
    await vi.waitFor(() => expect(order).toContain('r'), soon)
    expect(order.indexOf('l')).toBeGreaterThanOrEqual(0)
    expect(order.indexOf('l')).toBeLessThan(order.indexOf('r'))
    await bridge.stop()
  })

  it('gets a note for a rejected event although the outbox was moved away', async () => {
    using at = startPlace(10)
    at.plan(source => source.plan.splitBacklog('b'))
    let reject: (() => void) | null = null
    const bridge = startMemoryBridge({
      dir: at.dir,
      send: batch =>
        batch.topic === 'b'
          ? new Promise(resolve => {
              reject = () => resolve(batch.records.map(() => 'MESSAGE_TOO_LARGE'))
            })
          : accept(batch),
    })
    await vi.waitFor(() => expect(reject).not.toBe(null), soon)
    renameSync(at.outboxFile, at.file('moved.db'))
    await vi.waitFor(() => expect(bridge.source.store).toBe(null), soon)
    reject!()
    const kinds = () => bridge.inbox.notesFrom(1).map(({ kind }) => kind)
    await vi.waitFor(() => expect(kinds()).toContain('rejected'), soon)
    await bridge.stop()
  })
})

describe('an alarm and a line in the log', () => {
  const rejectIn =
    (...rejecting: string[]): typeof accept =>
    async ({ topic, records }) =>
      records.map(() => (rejecting.includes(topic) ? 'MESSAGE_TOO_LARGE' : null))

  it('name the events that Kafka rejects', async () => {
    using at = startPlace(2)
    const bridge = startMemoryBridge({ dir: at.dir, send: rejectIn('r') })
    const alarm = expect.stringMatching(/^Kafka rejected 6 events for topic r .*MESSAGE_TOO_LARGE/)
    await vi.waitFor(() => expect(bridge.rejections.alarms()).toEqual([alarm]), soon)
    expect(bridge.warnings).toHaveLength(1)
    await bridge.stop()
  })

  it('name the notes that Kafka rejects, and no note follows without end', async () => {
    using at = startPlace(1)
    const bridge = startMemoryBridge({ dir: at.dir, send: rejectIn('l') })
    const alarm = expect.stringMatching(/^Kafka rejected \d+ notes for topic l .*MESSAGE_TOO_LARGE/)
    await vi.waitFor(() => expect(bridge.rejections.alarms()).toEqual([alarm]), soon)
    expect(bridge.warnings).toHaveLength(1)
    await sleep(500)
    const before = bridge.rejections.alarms()
    await sleep(500)
    expect(bridge.rejections.alarms()).toEqual(before)
    await bridge.stop()
  })
})
