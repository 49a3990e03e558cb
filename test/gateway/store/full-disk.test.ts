import { existsSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { defaults } from '../../../config/config.ts'
import { startWriter, unreleasedBounds } from '../../../gateway/ingest/writer.ts'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { numbered } from '../../contracts/accept.ts'
import { readOutbox, temporary } from './fixture.ts'
import { mountSmallDisk } from './full-disk.ts'

const PATIENCE = { timeout: 20_000, interval: 20 }
const canMount = (() => {
  const disk = mountSmallDisk(1_000_000)
  disk?.[Symbol.dispose]()
  return disk !== null
})()

/** A writer whose outbox has its own disk of 40 MB; the inbox is on another disk. */
async function startOnSmallDisk(more: Partial<typeof defaults.outbox> = {}) {
  const disk = mountSmallDisk(40 * 1024 * 1024)!
  const place = temporary()
  const file = disk.file('outbox.db')
  const inboxFile = place.file('inbox.db')
  const bounds = { ...defaults.outbox.bounds, freeDiskBytes: 0 }
  const outbox = { ...defaults.outbox, commitWindowMs: 0, file, bounds, ...more }
  const [onRefused, onRoom, onFailed] = [vi.fn(), vi.fn(), vi.fn()]
  const start = () =>
    startWriter({
      ...{ gateway: 'gw', ingest: defaults.ingest, inboxFile, outbox, clock: () => 'SYNCED' },
      ...{ unreleasedBounds: unreleasedBounds(defaults.gateway.mqtt) },
      ...{ onCommitted() {}, onRefused, onSpaceAvailable: onRoom, onFailed },
    })
  let writer = await start()
  const acknowledged: number[] = []
  let next = 0
  return {
    ...{ disk, file, inboxFile, onRefused, onRoom, onFailed, acknowledged },
    get writer() {
      return writer
    },
    async restart() {
      await writer[Symbol.asyncDispose]()
      writer = await start()
    },
    /**
     * Hands over a message; every second message has 20 KB. Returns false when the message was
     * refused.
     */
    async send(): Promise<boolean> {
      const number = next++
      const noise = Array.from({ length: 15 }, () => Math.random().toString(36)).join('')
      const payload = Buffer.from(JSON.stringify({ n: number, noise }))
      const large = {
        ...numbered(number),
        topic: 'nowhere',
        payload: Buffer.alloc(20_000, payload),
      }
      const message = number % 2 ? { ...numbered(number), payload } : large
      const isAccepted = await writer.accept(message, {}).then(
        () => true,
        () => false,
      )
      if (isAccepted && number % 2) acknowledged.push(number)
      return isAccepted
    },
    stored: () =>
      readOutbox(file).events.map(
        ({ measurements }) => measurements.find(({ metric }) => metric === 'n')!.number!,
      ),
    async [Symbol.asyncDispose]() {
      await writer[Symbol.asyncDispose]()
      disk[Symbol.dispose]()
      place[Symbol.dispose]()
    },
  }
}
type Rig = Awaited<ReturnType<typeof startOnSmallDisk>>

/** Writes an inbox in which all events and notes are delivered. */
function deliverAll({ inboxFile, writer, file }: Rig): void {
  const inbox = openInbox({ file: inboxFile, settleMs: 1 })
  const store = Buffer.from(writer.store, 'hex')
  const next = writer.status.lastSequence + 1
  const range = { store, next, end: null, topic: 't', partitions: 1, zones: null } as const
  inbox.addRange({ ...range, kind: 'live', reason: 't' })
  inbox.moveNotes(store, readOutbox(file).notes.at(-1)!.sequence + 1)
  inbox.close()
}

describe.skipIf(!canMount)('a full disk', () => {
  it('acknowledges only stored messages, and accepts messages again after the bridge delivered all', async () => {
    await using rig = await startOnSmallDisk()
    expect(existsSync(`${rig.file}.ballast`)).toBe(true)
    // The first refusal truncates the WAL. After that there is space for more messages once.
    let [sent, refused] = [0, 0]
    while (refused < 10) {
      if (await rig.send()) [sent, refused] = [sent + 1, 0]
      else refused++
    }
    expect(sent).toBeGreaterThan(100)
    expect(rig.onRefused.mock.lastCall![1]).toMatch(/SQLITE_FULL|the disk is full/)
    expect(rig.writer.refusalReason).toBeTruthy()
    expect(rig.onFailed).not.toHaveBeenCalled()
    expect(rig.stored()).toEqual(rig.acknowledged)
    deliverAll(rig)
    await vi.waitFor(() => expect(rig.writer.refusalReason).toBe(null), PATIENCE)
    expect(rig.onRoom).toHaveBeenCalled()
    expect(rig.onRefused.mock.calls.length - rig.onRoom.mock.calls.length).toBe(0)
    expect(existsSync(`${rig.file}.ballast`)).toBe(true)
    for (let n = 0; n < 20; n++) expect(await rig.send()).toBe(true)
    expect(rig.acknowledged.slice(-rig.stored().length)).toEqual(rig.stored())
  })

  it('accepts messages again when others free the disk', async () => {
    await using rig = await startOnSmallDisk()
    for (let n = 0; n < 10; n++) await rig.send()
    rig.disk.fillAllBut(0)
    while (await rig.send()) {}
    expect(await rig.send()).toBe(false)
    rig.disk.free()
    await vi.waitFor(() => expect(rig.writer.refusalReason).toBe(null), PATIENCE)
    expect(await rig.send()).toBe(true)
    expect(rig.stored()).toEqual(rig.acknowledged)
  })

  it('does not keep the gateway from starting; the gateway refuses messages until there is space', async () => {
    await using rig = await startOnSmallDisk()
    for (let n = 0; n < 10; n++) await rig.send()
    rig.disk.fillAllBut(0)
    await rig.restart()
    expect(rig.writer.refusalReason).toBeTruthy()
    expect(await rig.send()).toBe(false)
    rig.disk.free()
    await vi.waitFor(() => expect(rig.writer.refusalReason).toBe(null), PATIENCE)
    expect(await rig.send()).toBe(true)
    expect(rig.stored()).toEqual(rig.acknowledged)
  })

  it('drops the oldest events under that policy, and names them in tombstones', async () => {
    await using rig = await startOnSmallDisk({ whenFull: 'drop-oldest' })
    for (let n = 0; n < 10; n++) expect(await rig.send()).toBe(true)
    rig.disk.fillAllBut(200_000)
    while (await rig.send()) {}
    await vi.waitFor(
      () => expect(readOutbox(rig.file).notes.at(-1)).toMatchObject({ kind: 'tombstone' }),
      PATIENCE,
    )
    const { events, notes } = readOutbox(rig.file)
    const dropped = notes.filter(({ kind }) => kind === 'tombstone')
    expect(dropped.at(-1)!.content.to).toBe(events[0]!.sequence - 1)
    expect(rig.stored()).toEqual(rig.acknowledged.slice(-events.length))
    rig.disk.free()
    await vi.waitFor(() => expect(rig.writer.refusalReason).toBe(null), PATIENCE)
    expect(await rig.send()).toBe(true)
  })
})
