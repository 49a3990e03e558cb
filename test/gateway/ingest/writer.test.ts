import { writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it, vi } from 'vitest'
import { defaults } from '../../../config/config.ts'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { startWriter, unreleasedBounds } from '../../../gateway/ingest/writer.ts'
import { markDamaged, readDamageReason } from '../../../gateway/store/file/damage-mark.ts'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { numbered } from '../../contracts/accept.ts'
import { openWriterAccept } from '../../contracts/writer-accept.ts'
import { overwrite } from '../store/file/damaged-file.ts'
import { readOutbox, temporary } from '../store/fixture.ts'

const PATIENCE = { timeout: 20_000, interval: 20 }
const neverByTime = { commitWindowMs: 10_000, commitAtEvents: 1000 }
const sender = {}

function optionsAt(file: string, more = {}) {
  return {
    ...{ gateway: 'gw', ingest: defaults.ingest, inboxFile: `${file}-inbox` },
    ...{ outbox: { ...defaults.outbox, file }, clock: () => 'SYNCED' as const },
    ...{ unreleasedBounds: unreleasedBounds(defaults.gateway.mqtt) },
    ...{ onCommitted() {}, onRefused() {}, onFailed() {}, ...more },
  }
}

describe('the writer', () => {
  it('stores accepted messages and reports its status', async () => {
    await using rig = await openWriterAccept({ clock: () => 'HOLDOVER' })
    const { writer } = rig
    await rig.accept(numbered(7, 'z', ['c', 1]), sender)
    await rig.accept({ ...numbered(8), topic: 'nowhere' }, sender)
    const { events, notes } = readOutbox(rig.outboxFile)
    const { epoch } = writer
    expect(events).toMatchObject([
      { epoch, gateway: 'gw', sequence: 1, clock: 'HOLDOVER', receivedAt: 1007, zone: 'z' },
    ])
    expect(notes.at(-1)).toMatchObject({ kind: 'deadletter', content: { topic: 'nowhere' } })
    expect(writer.status).toMatchObject({ lastSequence: 1, qos2Unreleased: 1 })
    expect(writer.status.bytesSoFar).toBeGreaterThan(0)
    expect(writer.store).toMatch(/^[0-9a-f]{32}$/)
    expect(writer.refusalReason).toBe(null)
  })

  it('reports the fates of the messages of each commit', async () => {
    const commits: object[] = []
    const onCommitted = (counts: object, commitMs: number) => commits.push({ ...counts, commitMs })
    await using rig = await openWriterAccept({ onCommitted, outbox: neverByTime })
    const all = [numbered(1, 'z', ['c', 1]), { ...numbered(2), topic: 'x' }]
    const done = [...all, all[0]!].map(handover => rig.accept(handover, sender))
    await rig.restart()
    await Promise.all(done)
    const commitMs = expect.any(Number)
    expect(commits).toEqual([{ stored: 1, deadLettered: 1, repeated: 1, commitMs }])
  })

  it('drains when it is closed: all messages handed over are stored and acknowledged', async () => {
    await using rig = await openWriterAccept({ outbox: { ...neverByTime, groupMaxEvents: 10 } })
    const numbers = Array.from({ length: 100 }, (_, n) => n)
    const kept: number[] = []
    for (const n of numbers) rig.accept(numbered(n), sender).then(() => kept.push(n))
    const { accept } = rig.writer
    await rig.restart()
    expect(kept).toEqual(numbers)
    expect(rig.stored()).toEqual(numbers)
    expect(readOutbox(rig.outboxFile).notes.map(({ kind }) => kind)).toEqual([
      ...['epoch', 'heads', 'epoch'],
    ])
    await expect(accept(numbered(1), sender)).rejects.toThrow('stopping')
  })

  it('refuses a group that cannot be packed, and goes on', async () => {
    const [onRefused, onFailed] = [vi.fn(), vi.fn()]
    await using rig = await openWriterAccept({ onRefused, onFailed })
    const unpackable = rig.accept(numbered(1, 'z', ['c', -1]), {})
    await expect(unpackable).rejects.toThrow('cannot be given to the writer thread')
    expect(rig.writer.refusalReason).toContain('out of range')
    await rig.accept(numbered(2), {})
    expect(rig.stored()).toEqual([2])
    expect(rig.writer.refusalReason).toBe(null)
    expect(onRefused).toHaveBeenCalledTimes(1)
    expect(onFailed).not.toHaveBeenCalled()
  })

  it('refuses a group that the program cannot commit, and goes on', async () => {
    const onFailed = vi.fn()
    await using rig = await openWriterAccept({ onFailed })
    // The time of receipt is no whole number, and an event stores whole milliseconds.
    const uncommittable = rig.accept({ ...numbered(1, 'z', ['c', 1]), receivedAt: 1.5e300 }, {})
    await expect(uncommittable).rejects.toThrow('ERROR: ')
    await rig.accept(numbered(1, 'z', ['c', 1]), {})
    expect(rig.stored()).toEqual([1])
    expect(onFailed).not.toHaveBeenCalled()
  })

  it('reports the reason of a refusal, and that the outbox must be opened again', async () => {
    const [onRefused, onFailed] = [vi.fn(), vi.fn()]
    await using rig = await openWriterAccept({ onRefused, onFailed, outbox: neverByTime })
    const acceptAll = rig.refuse()
    const refused = [1, 2].map(n =>
      expect(rig.accept(numbered(n, 'refused'), {})).rejects.toThrow(),
    )
    const restarted = rig.restart()
    await Promise.all(refused)
    await restarted
    acceptAll()
    const reason = 'SQLITE_CONSTRAINT_TRIGGER: this zone is refused'
    expect(onRefused.mock.calls).toEqual([[2, reason]])
    expect(onFailed.mock.calls).toEqual([[reason]])
    expect(rig.stored()).toEqual([])
  })

  it('refuses until a commit succeeds, whatever maintenance does meanwhile', async () => {
    await using rig = await openWriterAccept()
    const acceptAll = rig.refuse()
    await expect(rig.accept(numbered(1, 'refused'), {})).rejects.toThrow()
    acceptAll()
    const ticked = () => rig.writer.status.backlog
    const before = ticked()
    await vi.waitFor(() => expect(ticked()).not.toBe(before), PATIENCE)
    expect(rig.writer.refusalReason).toMatch('this zone is refused')
    await rig.accept(numbered(2), {})
    expect(rig.writer.refusalReason).toBe(null)
  })

  it('measures the backlog every second, by the ranges of the inbox', async () => {
    await using rig = await openWriterAccept()
    for (const n of [1, 2, 3]) await rig.accept(numbered(n), sender)
    const waiting = (events: number) =>
      vi.waitFor(() => expect(rig.writer.status.backlog.events).toBe(events), PATIENCE)
    await waiting(3)
    const inbox = openInbox({ file: rig.inboxFile, settleMs: 1 })
    const store = Buffer.from(rig.writer.store, 'hex')
    const rest = { end: null, topic: 't', partitions: 1, zones: null } as const
    const live = { kind: 'live', reason: 'test' } as const
    inbox.addRange({ store, next: 3, ...rest, ...live })
    await waiting(1)
    inbox.close()
  })

  it('continues when the inbox file is no inbox', async () => {
    const onFailed = vi.fn()
    await using rig = await openWriterAccept({ onFailed })
    writeFileSync(rig.inboxFile, 'no database, but longer than a header'.repeat(100))
    await rig.accept(numbered(1), sender)
    await vi.waitFor(() => expect(rig.writer.status.backlog.events).toBe(1), PATIENCE)
    await rig.accept(numbered(2), sender)
    expect(onFailed).not.toHaveBeenCalled()
  })

  it('must be opened again after the bridge has marked the outbox, and is salvaged then', async () => {
    const onFailed = vi.fn()
    await using rig = await openWriterAccept({ onFailed })
    await rig.accept(numbered(1), sender)
    expect(rig.writer.recovery).toBe(null)
    markDamaged(rig.outboxFile, 'a page is malformed')
    await vi.waitFor(() => expect(onFailed).toHaveBeenCalled(), PATIENCE)
    expect(onFailed.mock.lastCall).toEqual(['ERROR: the outbox is damaged: a page is malformed'])
    await rig.restart()
    expect(rig.writer.recovery).toMatchObject({ reason: 'a page is malformed' })
    await rig.accept(numbered(2), sender)
    expect(rig.stored()).toEqual([1, 2])
  })

  it('marks the outbox itself when a commit meets a malformed page', async () => {
    const onFailed = vi.fn()
    await using rig = await openWriterAccept({ onFailed })
    await rig.accept(numbered(1), sender)
    const acceptAll = rig.refuse()
    await expect(rig.accept(numbered(2, 'refused'), {})).rejects.toThrow()
    acceptAll()
    expect(readDamageReason(rig.outboxFile)).toBe(null)
    await rig.restart()
    const spoiled = new Database(rig.outboxFile)
    spoiled.pragma('wal_checkpoint(TRUNCATE)')
    spoiled.close()
    overwrite(rig.outboxFile, (_, number) => number > 2)
    await expect(rig.accept(numbered(3), {})).rejects.toThrow('malformed')
    expect(readDamageReason(rig.outboxFile)).toContain('malformed')
    await rig.restart()
    expect(rig.writer.recovery).not.toBe(null)
    await rig.accept(numbered(4), sender)
    expect(rig.stored()).toEqual([4])
  })

  it('writes a heartbeat every heartbeatMs, also while nothing arrives', async () => {
    await using rig = await openWriterAccept({ outbox: { heartbeatMs: 100 } })
    const { notes } = readOutbox(rig.outboxFile)
    await rig.accept(numbered(1), sender)
    const heads = () =>
      readOutbox(rig.outboxFile)
        .notes.slice(notes.length)
        .filter(({ kind }) => kind === 'heads')
        .map(({ content }) => content as { lastSequence: number; zones: unknown })
    const withEvent = () => heads().filter(({ lastSequence }) => lastSequence === 1)
    await vi.waitFor(() => expect(withEvent().length).toBeGreaterThan(2), PATIENCE)
    const zones = withEvent().map(({ zones }) => zones)
    expect(zones.slice(0, 3)).toEqual([[['z', 1]], [], []])
  })
})

describe('the writer within its bounds', () => {
  const deliver = (rig: Awaited<ReturnType<typeof openWriterAccept>>, next: number) => {
    const inbox = openInbox({ file: rig.inboxFile, settleMs: 1 })
    const store = Buffer.from(rig.writer.store, 'hex')
    const rest = { end: null, topic: 't', partitions: 1, zones: null } as const
    const live = { kind: 'live', reason: 'test' } as const
    inbox.addRange({ store, next, ...rest, ...live })
    inbox.close()
  }

  it('prunes delivered events on request, while it acknowledges messages', async () => {
    const keep = { hours: 0, bytes: 0 }
    await using rig = await openWriterAccept({ outbox: { keep } })
    for (let n = 1; n <= 300; n++) await rig.accept(numbered(n), sender)
    deliver(rig, 300)
    await vi.waitFor(() => expect(rig.writer.status.backlog.events).toBe(1), PATIENCE)
    expect(rig.stored()).toHaveLength(300)
    rig.writer.prune()
    const more = Array.from({ length: 50 }, (_, n) => rig.accept(numbered(301 + n), sender))
    await vi.waitFor(() => expect(rig.stored()[0]).toBe(300), PATIENCE)
    await Promise.all(more)
    expect(rig.stored()).toEqual(Array.from({ length: 51 }, (_, n) => 300 + n))
    const space = () => rig.writer.status.space
    await vi.waitFor(() => expect(space()).toMatchObject({ keptBytes: 0, refuses: null }), PATIENCE)
    expect(space().usedBytes).toBeGreaterThan(10_000)
  })

  it('refuses at a bound, reports that once, and accepts when the bridge has made room', async () => {
    const [onRefused, onRoom, onFailed] = [vi.fn(), vi.fn(), vi.fn()]
    const bounds = { ...defaults.outbox.bounds, events: 20 }
    const outbox = { bounds, commitAtEvents: 1, groupMaxEvents: 1 }
    await using rig = await openWriterAccept({
      outbox,
      onRefused,
      onSpaceAvailable: onRoom,
      onFailed,
    })
    for (let n = 1; n <= 20; n++) await rig.accept(numbered(n, 'z', ['c', n]), {})
    const reason = 'outbox.bounds.events = 20 is reached'
    for (let n = 21; n < 25; n++) {
      await expect(rig.accept(numbered(n, 'z', ['c', n]), {})).rejects.toThrow(reason)
    }
    expect(rig.writer.refusalReason).toBe(reason)
    expect(onRefused.mock.calls).toEqual([[1, reason]])
    // A QoS 2 release needs no space and is accepted.
    const qos2Key = { clientId: 'c', packetId: 1 }
    await rig.accept({ kind: 'release', qos2Key }, {})
    deliver(rig, 15)
    await vi.waitFor(() => expect(rig.writer.refusalReason).toBe(null), PATIENCE)
    expect(onRoom).toHaveBeenCalledTimes(1)
    await rig.accept(numbered(99, 'z', ['c', 21]), {})
    expect(rig.stored().at(-1)).toBe(99)
    expect(rig.writer.status).toMatchObject({ lastSequence: 21, qos2Unreleased: 20 })
    expect(onFailed).not.toHaveBeenCalled()
  })
})

describe('a writer that cannot start', () => {
  it('reports that another process holds the lock', async () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = openOutbox({ file, gateway: 'gw' })
    const starting = startWriter(optionsAt(file))
    await expect(starting).rejects.toThrow(CannotStart)
    await expect(starting).rejects.toThrow(`${file}.lock is locked`)
    outbox.close()
    await using writer = await startWriter(optionsAt(file))
    expect(writer.store).toBe(outbox.store.toString('hex'))
  })

  it('reports that the file is not an outbox', async () => {
    using place = temporary()
    const file = place.file('outbox.db')
    writeFileSync(file, 'no database, but longer than a header'.repeat(100))
    await expect(startWriter(optionsAt(file))).rejects.toThrow(
      `outbox.file = ${file}: the file is of another kind. Name another path. The file was not`,
    )
  })
})
