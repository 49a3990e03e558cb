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
import { createDependencyWait } from '../../../../cloud-bridge/consumers/runtime/dependency-wait.ts'
import { Fenced, StateUnavailable } from '../../../../cloud-bridge/consumers/state/state.ts'
import { event } from '../../../config/event/events-fixture.ts'
import {
  archivedIn,
  BACKLOG,
  committedIn,
  eventOf,
  feed,
  filesIn,
  manifestOf,
  openWork,
  recordOf,
  recordsOf,
  someEvents,
  startGraves,
  TOPIC,
  temporaryDir,
} from './fixture.ts'

const { signal } = new AbortController()

describe('a file of the archive', () => {
  it('gives back every event as it was', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 20 }), async events => {
        const rows = events.map((one, offset) => ({
          ...{ event: one, topic: TOPIC, partition: 3, offset, heardAt: 1_700_000_000_000 },
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

  it.each([1, 3e9])('gives back many, %d ms apart, with numbers that come again', async stepMs => {
    const rows = Array.from({ length: 2000 }, (_, offset) => {
      const number = [0, -0, 21.5][offset % 3]!
      const measurements = [
        { metric: 'a', number, flag: null, text: null, unit: null },
        { metric: 'b', number: null, flag: offset % 5 === 0, text: null, unit: 'K' },
        { metric: 'c', number: null, flag: null, text: `${offset}`, unit: null },
      ].slice(0, offset % 4)
      const one = eventOf('z', offset + 1, {
        ...{ device: `d${(offset * 7919) % 31}`, epoch: 2 ** 47 + 1, measurements },
        ...{ receivedAt: 1_700_000_000_000 + offset * stepMs, traceparent: null },
        observedAt: offset % 2 ? 1_700_000_000_000 - offset : null,
      })
      return { ...{ event: one, topic: TOPIC, partition: 3, offset }, heardAt: one.receivedAt }
    })
    const columns = new EventColumns()
    for (const row of rows) columns.add(row)
    expect(await readParquet(columns.toParquet())).toEqual(rows)
  })

  it('has a name that any file system takes', () => {
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
  it('has the events of both topics once, whatever comes twice', async () => {
    using place = temporaryDir()
    const events = someEvents(10)
    const twice = [...events.slice(0, 4), ...events.slice(2)]
    {
      await using work = await openWork(place)
      await feed(work, TOPIC, recordsOf(twice))
      await feed(work, BACKLOG, recordsOf(events))
    }
    await using work = await openWork(place)
    await feed(work, BACKLOG, recordsOf([...events, ...events]))
    await work[Symbol.asyncDispose]()
    const archived = await archivedIn(place.dir)
    expect(archived.map(one => one.event)).toEqual(events)
    expect([...(await openWork(place)).nextOffsets]).toEqual([
      [TOPIC, 12],
      [BACKLOG, 20],
    ])
  })

  it('commits what is gathered when the oldest of it is old enough', async () => {
    using place = temporaryDir()
    const onCommitted = vi.fn()
    await using work = await openWork({ ...place, fileMaxAgeMs: 10 }, { onCommitted })
    await feed(work, TOPIC, recordsOf(someEvents(2)))
    await vi.waitFor(() => expect(onCommitted).toHaveBeenCalledOnce())
    expect(await archivedIn(place.dir)).toHaveLength(2)
  })

  it('goes to who claims it last: the other one changes nothing any more', async () => {
    using place = temporaryDir()
    const records = recordsOf(someEvents(8))
    const stale = await openWork(place)
    await stale.processRecords(TOPIC, records.slice(0, 3), signal)
    await using work = await openWork(place)
    await expect(stale.processRecords(TOPIC, records.slice(3), signal)).rejects.toThrow(Fenced)
    await stale[Symbol.asyncDispose]()
    expect(filesIn(place.dir)).toEqual([])
    await feed(work, TOPIC, records, 4)
    expect(await archivedIn(place.dir)).toHaveLength(8)
  })

  it('says when what it commits by itself fails, though nothing more comes', async () => {
    using place = temporaryDir()
    await using stale = await openWork({ ...place, fileMaxAgeMs: 100 })
    await feed(stale, TOPIC, recordsOf(someEvents(2)))
    await using _work = await openWork(place)
    await expect(stale.failed).rejects.toThrow(Fenced)
  })

  it('waits while the disk is full, says so, and has all of it then', async () => {
    using place = temporaryDir()
    const events = someEvents(8)
    const said: (string | null)[] = []
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
      { ...place, disk },
      { retryWhileAway: createDependencyWait(reason => said.push(reason)) },
    )
    await feed(work, TOPIC, recordsOf(events))
    await work[Symbol.asyncDispose]()
    expect(said).toEqual(['the disk is full', 'the disk is full', null])
    expect((await archivedIn(place.dir)).map(one => one.event)).toEqual(events)
    expect(filesIn(place.dir)).toEqual(committedIn(place.dir))
  })

  it('buries what is no event before it goes on', async () => {
    using place = temporaryDir()
    const { letters, bury } = startGraves()
    const [first, second] = recordsOf(someEvents(2))
    await using work = await openWork(place, { produceDeadLetters: bury })
    await feed(work, TOPIC, [
      first!,
      { ...recordOf(Buffer.from('?'), 1) },
      { ...second!, offset: 2 },
    ])
    await work[Symbol.asyncDispose]()
    expect(letters.map(({ topic, value }) => [topic, JSON.parse(value.toString())])).toMatchObject([
      ['deadletters', { consumer: 'archive', topic: TOPIC, partition: 0, offset: 1, attempts: 1 }],
    ])
    expect((await archivedIn(place.dir)).map(({ offset }) => offset)).toEqual([0, 2])
    expect((await openWork(place)).nextOffsets.get(TOPIC)).toBe(3)
  })

  it('adds nothing behind a line that was changed', async () => {
    using place = temporaryDir()
    {
      await using work = await openWork(place)
      await feed(work, TOPIC, recordsOf(someEvents(4)), 4)
    }
    const file = manifestOf(place.dir)
    writeFileSync(file, readFileSync(file, 'utf8').replace('"rows":1', '"rows":9'))
    await expect(openWork(place)).rejects.toThrow(/line 2 was changed .* archive verify/)
  })

  it('lets go of files by the day of their commit, and verifies then', async () => {
    using place = temporaryDir()
    const records = recordsOf(someEvents(12))
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      vi.setSystemTime(Date.UTC(2026, 4, 1))
      {
        await using work = await openWork(place)
        await feed(work, TOPIC, records.slice(0, 6))
      }
      vi.setSystemTime(Date.UTC(2026, 4, 3))
      {
        await using work = await openWork(place, { keepDays: 2 })
        await feed(work, TOPIC, records)
      }
      expect(await archivedIn(place.dir)).toHaveLength(12)
      vi.setSystemTime(Date.UTC(2026, 4, 4))
      await using work = await openWork(place, { keepDays: 2 })
      await feed(work, TOPIC, recordsOf(someEvents(12).slice(0, 4), 12))
    } finally {
      vi.useRealTimers()
    }
    expect((await archivedIn(place.dir)).map(({ offset }) => offset)).toEqual([6, 7, 8, 9, 10, 11])

    const proof = (await verifyArchive(place.dir, []))!
    expect(proof).toMatchObject({
      faults: [],
      partitions: [{ events: 6, keptFrom: '2026-05-02' }],
    })
  })
})
