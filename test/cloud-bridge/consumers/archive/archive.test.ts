import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { durableFilesystem } from '../../../../cloud-bridge/consumers/archive/files/durable-filesystem.ts'
import {
  filePathOf,
  partitionInPath,
} from '../../../../cloud-bridge/consumers/archive/files/paths.ts'
import {
  EventColumns,
  readParquet,
  rowCountOf,
} from '../../../../cloud-bridge/consumers/archive/parquet/parquet.ts'
import { verifyArchive } from '../../../../cloud-bridge/consumers/archive/verification.ts'
import { createDependencyRetry } from '../../../../cloud-bridge/consumers/runtime/dependency-retry.ts'
import { Fenced, StateUnavailable } from '../../../../cloud-bridge/consumers/state/state.ts'
import { event as anyEvent, goldenEvent } from '../../../config/event/events-fixture.ts'
import {
  BACKFILL,
  createDeadLetterSink,
  createEvents,
  createTemporaryDir,
  eventOf,
  feed,
  listCommittedFiles,
  listFiles,
  newestManifest,
  openWork,
  readArchived,
  recordOf,
  recordsOf,
  TOPIC,
} from './fixture.ts'

const { signal } = new AbortController()

describe('a file of the archive', () => {
  it('returns every event unchanged', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEvent, { minLength: 1, maxLength: 20 }), async events => {
        const rows = events.map((archived, offset) => ({
          ...{
            event: archived,
            topic: TOPIC,
            partition: 3,
            offset,
            appendTimeMs: 1_700_000_000_000,
          },
        }))
        const columns = new EventColumns()
        for (const row of rows) columns.add(row)
        const bytes = columns.toParquet()
        expect(await readParquet(bytes)).toEqual(rows)
        expect(rowCountOf(bytes)).toBe(rows.length)
      }),
      { numRuns: 50 },
    )
  })

  it('keeps a U+FEFF at the beginning of a text', async () => {
    const columns = new EventColumns()
    const event = { ...goldenEvent, zone: '\uFEFFlobby' }
    columns.add({ event, topic: TOPIC, partition: 3, offset: 0, appendTimeMs: 0 })
    expect((await readParquet(columns.toParquet()))[0]!.event.zone).toBe(event.zone)
  })

  it.each([1, 3e9])(
    'returns many events, %d ms apart, with repeated values, unchanged',
    async stepMs => {
      const rows = Array.from({ length: 2000 }, (_, offset) => {
        const number = [0, -0, 21.5][offset % 3]!
        const measurements = [
          { metric: 'a', number, flag: null, text: null, unit: null },
          { metric: 'b', number: null, flag: offset % 5 === 0, text: null, unit: 'K' },
          { metric: 'c', number: null, flag: null, text: `${offset}`, unit: null },
        ].slice(0, offset % 4)
        const event = eventOf('z', offset + 1, {
          ...{ device: `d${(offset * 7919) % 31}`, epoch: 2 ** 47 + 1, measurements },
          ...{ receivedAt: 1_700_000_000_000 + offset * stepMs, traceparent: null },
          observedAt: offset % 2 ? 1_700_000_000_000 - offset : null,
        })
        return { ...{ event, topic: TOPIC, partition: 3, offset }, appendTimeMs: event.receivedAt }
      })
      const columns = new EventColumns()
      for (const row of rows) columns.add(row)
      expect(await readParquet(columns.toParquet())).toEqual(rows)
    },
  )

  it('has a name that any file system accepts', () => {
    const zones = ['a/b', '..', 'z*?', 'é'.repeat(500), '\u0000', `${'é'.repeat(499)}e`]
    const names = zones.map(zone =>
      filePathOf({ date: '2026-05-01', zone, topic: TOPIC, partition: 7, first: 1, last: 2 }),
    )
    expect(new Set(names).size).toBe(zones.length)
    for (const name of names) {
      expect(name.split('/')).toHaveLength(4)
      expect(name).toMatch(/^[\w.%=~/-]+$/)
      expect(Math.max(...name.split('/').map(part => part.length))).toBeLessThan(200)
      expect(partitionInPath(name)).toBe(7)
    }
  })
})

describe('the archive', () => {
  it('has each event of both topics once, also after duplicates', async () => {
    using folder = createTemporaryDir()
    const events = createEvents(10)
    const withDuplicates = [...events.slice(0, 4), ...events.slice(2)]
    {
      await using work = await openWork(folder)
      await feed(work, TOPIC, recordsOf(withDuplicates))
      await feed(work, BACKFILL, recordsOf(events))
    }
    await using work = await openWork(folder)
    await feed(work, BACKFILL, recordsOf([...events, ...events]))
    await work[Symbol.asyncDispose]()
    const archived = await readArchived(folder.dir)
    expect(archived.map(row => row.event)).toEqual(events)
    expect([...(await openWork(folder)).nextOffsets]).toEqual([
      [TOPIC, 12],
      [BACKFILL, 20],
    ])
  })

  it('commits pending events when the oldest is old enough', async () => {
    using folder = createTemporaryDir()
    const onCommitted = vi.fn()
    await using work = await openWork({ ...folder, fileMaxAgeMs: 10 }, { onCommitted })
    await feed(work, TOPIC, recordsOf(createEvents(2)))
    await vi.waitFor(() => expect(onCommitted).toHaveBeenCalledOnce())
    expect(await readArchived(folder.dir)).toHaveLength(2)
  })

  it('belongs to the last member that claimed it: the previous member changes nothing any more', async () => {
    using folder = createTemporaryDir()
    const records = recordsOf(createEvents(8))
    const stale = await openWork(folder)
    await stale.processRecords(TOPIC, records.slice(0, 3), signal)
    await using work = await openWork(folder)
    await expect(stale.processRecords(TOPIC, records.slice(3), signal)).rejects.toThrow(Fenced)
    await stale[Symbol.asyncDispose]()
    expect(listFiles(folder.dir)).toEqual([])
    await feed(work, TOPIC, records, 4)
    expect(await readArchived(folder.dir)).toHaveLength(8)
  })

  it('reports a failed timed commit without further records', async () => {
    using folder = createTemporaryDir()
    await using stale = await openWork({ ...folder, fileMaxAgeMs: 100 })
    await feed(stale, TOPIC, recordsOf(createEvents(2)))
    await using _work = await openWork(folder)
    await expect(stale.failed).rejects.toThrow(Fenced)
  })

  it('waits while the disk is full, reports the reason, and has all events afterwards', async () => {
    using folder = createTemporaryDir()
    const events = createEvents(8)
    const reasons: (string | null)[] = []
    let isFull = true
    let waits = 0
    const disk = {
      ...durableFilesystem,
      async append(path: string, length: number, bytes: Uint8Array) {
        if (!isFull) return durableFilesystem.append(path, length, bytes)
        await durableFilesystem.append(path, length, bytes.subarray(0, bytes.length >> 1))
        if (++waits === 2) isFull = false
        throw new StateUnavailable('the disk is full')
      },
    }
    await using work = await openWork(
      { ...folder, disk },
      { retryWhileUnavailable: createDependencyRetry(reason => reasons.push(reason)) },
    )
    await feed(work, TOPIC, recordsOf(events))
    await work[Symbol.asyncDispose]()
    expect(reasons).toEqual(['the disk is full', 'the disk is full', null])
    expect((await readArchived(folder.dir)).map(row => row.event)).toEqual(events)
    expect(listFiles(folder.dir)).toEqual(listCommittedFiles(folder.dir))
  })

  it('produces a dead letter for a record that is no event before it continues', async () => {
    using folder = createTemporaryDir()
    const { letters, produceDeadLetters } = createDeadLetterSink()
    const [first, second] = recordsOf(createEvents(2))
    await using work = await openWork(folder, { produceDeadLetters })
    await feed(work, TOPIC, [
      first!,
      { ...recordOf(Buffer.from('?'), 1) },
      { ...second!, offset: 2 },
    ])
    await work[Symbol.asyncDispose]()
    expect(letters.map(({ topic, value }) => [topic, JSON.parse(value.toString())])).toMatchObject([
      ['deadletters', { consumer: 'archive', topic: TOPIC, partition: 0, offset: 1, attempts: 1 }],
    ])
    expect((await readArchived(folder.dir)).map(({ offset }) => offset)).toEqual([0, 2])
    expect((await openWork(folder)).nextOffsets.get(TOPIC)).toBe(3)
  })

  it('appends nothing after a line that was changed', async () => {
    using folder = createTemporaryDir()
    {
      await using work = await openWork(folder)
      await feed(work, TOPIC, recordsOf(createEvents(4)), 4)
    }
    const file = newestManifest(folder.dir)
    writeFileSync(file, readFileSync(file, 'utf8').replace('"rows":1', '"rows":9'))
    await expect(openWork(folder)).rejects.toThrow(/line 2 was changed .* archive verify/)
  })

  it.each([
    ['without its end', 0, (line: Buffer) => line.subarray(0, -20)],
    ['with zeros in its middle', 1, (line: Buffer) => Buffer.from(line).fill(0, 30, 90)],
    ['with line feeds in garbage', 21, (line: Buffer) => Buffer.from(line).fill('\n\x00{', 30, 90)],
  ])(
    'continues after an append that power interrupted: a line %s',
    async (_, completeLines, tear) => {
      using folder = createTemporaryDir()
      const records = recordsOf(createEvents(8))
      {
        await using work = await openWork(folder)
        await feed(work, TOPIC, records, 4)
      }
      const file = newestManifest(folder.dir)
      const bytes = readFileSync(file)
      const lastLine = bytes.lastIndexOf('\n', bytes.length - 2) + 1
      const torn = tear(bytes.subarray(lastLine))
      writeFileSync(file, Buffer.concat([bytes.subarray(0, lastLine), torn]))
      const { faults, remarks } = (await verifyArchive(folder.dir, []))!
      expect(faults).toEqual(
        Array(completeLines).fill(expect.stringMatching(/added, or damaged by a power cut/)),
      )
      if (completeLines === 0) expect(remarks[0]).toContain('the last line is incomplete')
      {
        await using work = await openWork(folder)
        expect(work.nextOffsets.get(TOPIC)).toBe(4)
        await feed(work, TOPIC, records, 4)
      }
      const verified = (await verifyArchive(folder.dir, []))!
      expect(verified.faults).toEqual([])
      expect(verified.remarks).toEqual([])
      expect((await readArchived(folder.dir)).map(({ offset }) => offset)).toEqual(
        records.map(({ offset }) => offset),
      )
    },
  )

  it('deletes files by the day of their commit, and verifies afterwards', async () => {
    using folder = createTemporaryDir()
    const records = recordsOf(createEvents(12))
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      vi.setSystemTime(Date.UTC(2026, 4, 1))
      {
        await using work = await openWork(folder)
        await feed(work, TOPIC, records.slice(0, 6))
      }
      vi.setSystemTime(Date.UTC(2026, 4, 3))
      {
        await using work = await openWork(folder, { keepDays: 2 })
        await feed(work, TOPIC, records)
      }
      expect(await readArchived(folder.dir)).toHaveLength(12)
      vi.setSystemTime(Date.UTC(2026, 4, 4))
      await using work = await openWork(folder, { keepDays: 2 })
      await feed(work, TOPIC, recordsOf(createEvents(12).slice(0, 4), 12))
    } finally {
      vi.useRealTimers()
    }
    expect((await readArchived(folder.dir)).map(({ offset }) => offset)).toEqual([
      6, 7, 8, 9, 10, 11,
    ])

    const result = (await verifyArchive(folder.dir, []))!
    expect(result).toMatchObject({
      faults: [],
      partitions: [{ events: 6, keptFrom: '2026-05-02' }],
    })
  })
})
