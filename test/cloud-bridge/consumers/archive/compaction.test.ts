import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { compactArchive } from '../../../../cloud-bridge/consumers/archive/compaction-command.ts'
import { createDailyCompaction } from '../../../../cloud-bridge/consumers/archive/compaction-run.ts'
import { durableFilesystem } from '../../../../cloud-bridge/consumers/archive/files/durable-filesystem.ts'
import { DAY_MS } from '../../../../cloud-bridge/consumers/archive/files/paths.ts'
import { claimPartition } from '../../../../cloud-bridge/consumers/archive/partition.ts'
import {
  readArchivedEvents,
  replayArchive,
} from '../../../../cloud-bridge/consumers/archive/replay.ts'
import { verifyArchive } from '../../../../cloud-bridge/consumers/archive/verification.ts'
import { Fenced } from '../../../../cloud-bridge/consumers/state/state.ts'
import { singleObjectFraming } from '../../../../cloud-bridge/framing/framing.ts'
import { decodeEvent } from '../../../../config/event/sensor-reading.ts'
import {
  createArchiveOf,
  createEvents,
  createTemporaryDir,
  eventOf,
  feed,
  listCommittedFiles,
  listFiles,
  openWork,
  readArchived,
  recordsOf,
  TOPIC,
} from './fixture.ts'
import { toOldForm } from './old-form.ts'

const { signal } = new AbortController()
const compact = (dir: string, onMessage: (line: string) => void = () => {}) =>
  compactArchive({ dir, signal, onMessage })

/** An archive with many small files: of two zones and two dates. */
const createSmallFiles = (count: number) =>
  createArchiveOf(createEvents(count), { fileMaxEvents: 2 }, 2)

/** Damages a file, and returns the path of the file in the archive. */
function damageFirstFile(dir: string): string {
  const [name] = listFiles(dir) as [string]
  const bytes = readFileSync(join(dir, name))
  bytes[bytes.length >> 1]! ^= 1
  writeFileSync(join(dir, name), bytes)
  return name
}

async function expectIntact(dir: string, count: number) {
  expect(await verifyArchive(dir, [])).toMatchObject({
    faults: [],
    remarks: [],
    partitions: [{ events: count }],
  })
  expect((await readArchived(dir)).map(({ event }) => event)).toEqual(createEvents(count))
  expect(listFiles(dir)).toEqual(listCommittedFiles(dir))
}

describe('a compaction', () => {
  it('merges the files of each date and zone to one file, with every event once', async () => {
    using folder = await createSmallFiles(190)
    expect(listFiles(folder.dir)).toHaveLength(190)
    expect(await compact(folder.dir)).toEqual({ replaced: 190, files: 4, problems: 0 })
    expect(listFiles(folder.dir)).toHaveLength(4)
    await expectIntact(folder.dir, 190)
    expect(await compact(folder.dir)).toEqual({ replaced: 0, files: 0, problems: 0 })
  })

  it('keeps whole and fractional numbers, both zeros and texts of any script', async () => {
    using folder = createTemporaryDir()
    const numbers = [...Array(600).keys()].map(n => (n % 3 === 0 ? n : n / 7))
    const events = [0, -0, 1e300, ...numbers].map((number, at) => {
      const text = at % 2 ? 'é日' : 'a'
      const measured = { flag: null, unit: null }
      const measurements = [
        { ...measured, metric: 'm', number, text: null },
        { ...measured, metric: 'n', number: null, text },
      ]
      return eventOf('lobby', at + 1, { measurements })
    })
    {
      await using work = await openWork({ ...folder, fileMaxEvents: 50 })
      await feed(work, TOPIC, recordsOf(events), 50)
    }
    expect(await compact(folder.dir)).toMatchObject({ files: 1, problems: 0 })
    expect((await readArchived(folder.dir)).map(({ event }) => event)).toEqual(events)
  })

  it('gives files of earlier versions the present path', async () => {
    using folder = await createSmallFiles(6)
    toOldForm(folder.dir)
    expect(listFiles(folder.dir).every(name => name.includes('/zone=z'))).toBe(true)
    await expectIntact(folder.dir, 6)
    await compact(folder.dir)
    expect(listFiles(folder.dir).filter(name => name.includes('zone='))).toEqual([])
    await expectIntact(folder.dir, 6)
  })

  it('leaves damaged files as they are, and names the file', async () => {
    using folder = await createSmallFiles(12)
    const damaged = damageFirstFile(folder.dir)
    const messages: string[] = []
    const counts = await compact(folder.dir, line => messages.push(line))
    expect(counts).toEqual({ replaced: 9, files: 3, problems: 1 })
    expect(messages).toEqual([expect.stringContaining(`${damaged} was changed since`)])
    expect(existsSync(join(folder.dir, damaged))).toBe(true)
  })

  it('fences the member that owns a partition with files to merge, and no other', async () => {
    using folder = await createSmallFiles(8)
    const later = (first: number, end: number) => recordsOf(createEvents(end).slice(first), first)
    {
      await using work = await openWork(folder)
      expect(await compact(folder.dir)).toMatchObject({ files: 4 })
      await expect(feed(work, TOPIC, later(8, 16))).rejects.toThrow(Fenced)
    }
    {
      await using work = await openWork(folder)
      expect(await compact(folder.dir)).toMatchObject({ files: 0 })
      await feed(work, TOPIC, later(8, 16))
    }
    expect(await readArchived(folder.dir)).toHaveLength(16)
  })

  it('names a partition that a member claims before the compaction ends', async () => {
    using folder = await createSmallFiles(12)
    const damaged = damageFirstFile(folder.dir)
    const messages: string[] = []
    const counts = await compact(folder.dir, line => {
      messages.push(line)
      writeFileSync(join(folder.dir, 'manifest/partition=0/owner'), 'another member')
    })
    expect(counts).toEqual({ replaced: 0, files: 0, problems: 2 })
    expect(messages).toEqual([
      expect.stringContaining(`${damaged} was changed since`),
      'partition 0: another process owns partition 0 of the archive now: run the command again',
    ])
  })

  it('claims no partition after an abort', async () => {
    using folder = await createSmallFiles(12)
    await using work = await openWork(folder)
    const options = { dir: folder.dir, signal: AbortSignal.abort(), onMessage: expect.fail }
    expect(await compactArchive(options)).toEqual({ replaced: 0, files: 0, problems: 0 })
    await feed(work, TOPIC, recordsOf(createEvents(16)))
  })

  it('does not begin while an earlier compaction runs', async () => {
    using folder = await createSmallFiles(12)
    const place = { dir: folder.dir, partition: 0 }
    const archive = await claimPartition({ ...place, disk: durableFilesystem, onSealed() {} })
    const onCompacted = vi.fn()
    const daily = createDailyCompaction(
      { ...place, archive, signal, runAlone: work => work(), onProblem: expect.fail, onCompacted },
      1,
    )
    await Promise.all([daily(), daily()])
    expect(onCompacted.mock.calls).toEqual([[{ replaced: 12, files: 4 }]])
  })
})

describe('an archive over days', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })
  const start = Date.UTC(2026, 4, 1)
  const noon = (day: number) => start + day * DAY_MS + DAY_MS / 2
  /** Two events that are received and committed on a day, in a file each. */
  const eventsOf = (day: number) =>
    [0, 1].map(nth => eventOf('lobby', 2 * day + nth + 1, { receivedAt: noon(day) + nth }))
  const archiveDay = async (dir: string, day: number, options = {}) => {
    vi.setSystemTime(noon(day))
    await using work = await openWork({ dir, fileMaxEvents: 1 }, options)
    await feed(work, TOPIC, recordsOf(eventsOf(day), 2 * day), 1)
  }
  const datesOf = (dir: string) => listFiles(dir).map(name => name.slice(12, 22))

  it('merges the files of a date on the next day, and not before', async () => {
    using folder = createTemporaryDir()
    await archiveDay(folder.dir, 0)
    expect(await compact(folder.dir)).toEqual({ replaced: 0, files: 0, problems: 0 })
    expect(datesOf(folder.dir)).toEqual(['2026-05-01', '2026-05-01'])
    const onCompacted = vi.fn()
    vi.setSystemTime(noon(1))
    await using _work = await openWork(folder, { compactAfterDays: 1, onCompacted })
    await vi.waitFor(() => expect(onCompacted).toHaveBeenCalledWith(0, { replaced: 2, files: 1 }))
    expect(datesOf(folder.dir)).toEqual(['2026-05-01'])
  })

  it('is replayed in the order of its events when only earlier dates are merged', async () => {
    using folder = createTemporaryDir()
    for (const day of [0, 1]) await archiveDay(folder.dir, day)
    expect(await compact(folder.dir)).toMatchObject({ replaced: 2, files: 1 })
    const events = await Array.fromAsync(readArchivedEvents(folder.dir))
    expect(events.map(({ zoneSequence }) => zoneSequence)).toEqual([1, 2, 3, 4])
    const sent: number[] = []
    await replayArchive({
      ...{ dir: folder.dir, fromMs: 0, toMs: noon(9), topic: TOPIC, partitions: 1 },
      frame: singleObjectFraming,
      async deliver({ records }) {
        sent.push(...records.map(({ value }) => decodeEvent(value).zoneSequence))
        return records.map(() => null)
      },
      onRejected: expect.fail,
    })
    expect(sent).toEqual([1, 2, 3, 4])
  })

  it('deletes merged files by the day of their newest commit', async () => {
    using folder = createTemporaryDir()
    for (const day of [0, 1]) await archiveDay(folder.dir, day)
    vi.setSystemTime(noon(5))
    await compact(folder.dir)
    expect(datesOf(folder.dir)).toEqual(['2026-05-01', '2026-05-02'])
    await archiveDay(folder.dir, 5, { keepDays: 4 })
    await vi.waitFor(() => expect(datesOf(folder.dir)).not.toContain('2026-05-01'))
    expect(datesOf(folder.dir)).toContain('2026-05-02')
    const result = (await verifyArchive(folder.dir, []))!
    expect(result).toMatchObject({ faults: [], partitions: [{ events: 4 }] })
  })

  it('deletes old files before other files are merged', async () => {
    using folder = createTemporaryDir()
    for (const day of [0, 1, 2]) await archiveDay(folder.dir, day)
    vi.setSystemTime(noon(5))
    const onCompacted = vi.fn()
    const options = { keepDays: 4, compactAfterDays: 1, onNotCompacted: expect.fail, onCompacted }
    await using _work = await openWork(folder, options)
    await vi.waitFor(() => expect(onCompacted).toHaveBeenCalledWith(0, { replaced: 4, files: 2 }))
    expect(datesOf(folder.dir)).toEqual(['2026-05-02', '2026-05-03'])
  })

  it('does not merge late events with files that are deleted much earlier', async () => {
    using folder = createTemporaryDir()
    await archiveDay(folder.dir, 0)
    vi.setSystemTime(noon(9))
    {
      await using work = await openWork({ ...folder, fileMaxEvents: 1 })
      const late = [3, 4].map(n => eventOf('lobby', n, { receivedAt: noon(0) + n }))
      await feed(work, TOPIC, recordsOf(late, 2), 1)
    }
    expect(await compact(folder.dir)).toEqual({ replaced: 4, files: 2, problems: 0 })
    expect(datesOf(folder.dir)).toEqual(['2026-05-01', '2026-05-01'])
  })
})
