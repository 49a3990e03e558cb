import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { compactPartition } from '../../../../cloud-bridge/consumers/archive/compaction-run.ts'
import {
  type DurableFilesystem,
  durableFilesystem,
} from '../../../../cloud-bridge/consumers/archive/files/durable-filesystem.ts'
import { DAY_MS } from '../../../../cloud-bridge/consumers/archive/files/paths.ts'
import { readChain } from '../../../../cloud-bridge/consumers/archive/manifest/hash-chain.ts'
import { readParquet } from '../../../../cloud-bridge/consumers/archive/parquet/parquet.ts'
import { claimPartition } from '../../../../cloud-bridge/consumers/archive/partition.ts'
import { verifyArchive } from '../../../../cloud-bridge/consumers/archive/verification.ts'
import {
  createEvents,
  createTemporaryDir,
  feed,
  listCommittedFiles,
  listFiles,
  openWork,
  readArchived,
  recordsOf,
  TOPIC,
} from './fixture.ts'

const STEPS = [
  'createFolder',
  'write',
  'rename',
  'syncFolder',
  'append',
  'truncate',
  'remove',
] as const

class Crash extends Error {}

/**
 * How a process ends: before a step, within a step that writes, or by a power cut before a step.
 * A power cut undoes every change of a name after which the folder was not synced.
 */
const ENDINGS = ['before', 'within', 'power cut'] as const
type Ending = (typeof ENDINGS)[number]

/** Records changes of names until their folder is synced; `undo` takes the others back. */
function createUnsyncedNames() {
  let changes: { folder: string; undo(): void }[] = []
  return {
    beforeStep(name: (typeof STEPS)[number], args: unknown[]): void {
      const [path, to] = args as [string, string]
      if (name === 'syncFolder') changes = changes.filter(({ folder }) => folder !== path)
      if (name === 'rename') {
        changes.push({ folder: dirname(to), undo: () => renameSync(to, path) })
      }
      if (name === 'remove' && existsSync(path)) {
        const bytes = readFileSync(path)
        const undo = () => {
          mkdirSync(dirname(path), { recursive: true })
          writeFileSync(path, bytes)
        }
        changes.push({ folder: dirname(path), undo })
      }
    },
    undo(): void {
      for (const change of changes.toReversed()) change.undo()
    },
  }
}

/** A disk on which the process ends at a step. */
function createCrashingDisk(crashAt: number, when: Ending) {
  const names = createUnsyncedNames()
  let steps = 0
  let hasCrashed = false
  const crashing = (name: (typeof STEPS)[number]) => {
    const step = durableFilesystem[name] as (...args: unknown[]) => Promise<void>
    const mayCrash = when !== 'within' || name === 'write' || name === 'append'
    return async (...args: unknown[]) => {
      if (!hasCrashed && !(mayCrash && steps++ === crashAt)) {
        names.beforeStep(name, args)
        return step(...args)
      }
      if (!hasCrashed && when === 'within') tear(name, args)
      if (!hasCrashed && when === 'power cut') names.undo()
      hasCrashed = true
      throw new Crash()
    }
  }
  const disk = Object.fromEntries(STEPS.map(name => [name, crashing(name)])) as DurableFilesystem
  return { disk, hasCrashed: () => hasCrashed }
}

function tear(name: string, args: unknown[]): void {
  const half = (bytes: unknown) => (bytes as Buffer).subarray(0, (bytes as Buffer).length / 2)
  if (name === 'write') writeFileSync(args[0] as string, half(args[1]))
  if (name === 'append') appendFileSync(args[0] as string, half(args[2]))
}

const runAlone = (work: () => Promise<void>) => work()

/** Verifies an archive after a crash, before anybody claims it: no event is missing or twice. */
async function expectEachEventOnce(dir: string) {
  const result = await verifyArchive(dir, [])
  expect(result?.faults ?? []).toEqual([])
  const counted = await Promise.all(
    [...(await readChain(dir, 0)).named.keys()].map(name =>
      readParquet(readFileSync(join(dir, name))),
    ),
  )
  const sequences = counted.flat().map(({ event }) => `${event.zone} ${event.zoneSequence}`)
  expect(new Set(sequences).size).toBe(sequences.length)
  expect(result?.partitions[0]?.events ?? 0).toBe(sequences.length)
}

describe('the archive after a crash at any step', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  const events = createEvents(8)
  const records = recordsOf(events)
  /**
   * Processes all records as a member does, while a day passes. Resolves with false after a crash.
   */
  const run = async (dir: string, disk: DurableFilesystem): Promise<boolean> => {
    vi.setSystemTime(Date.UTC(2026, 4, 1, 23, 59))
    try {
      {
        await using work = await openWork({ dir, disk })
        await feed(work, TOPIC, records.slice(0, 5))
        vi.setSystemTime(Date.UTC(2026, 4, 1, 23, 59) + DAY_MS)
        await feed(work, TOPIC, records)
      }
      await compact(dir, disk)
      return true
    } catch (error) {
      if (error instanceof Crash) return false
      throw error
    }
  }

  /** Merges all files, as a member of a later time does. */
  const compact = async (dir: string, disk: DurableFilesystem) => {
    const archive = await claimPartition({ ...{ dir, disk, partition: 0 }, onSealed() {} })
    const { signal } = new AbortController()
    const onProblem = expect.fail
    const options = { ...{ dir, partition: 0, archive, signal, onProblem }, runAlone }
    await compactPartition(options, '2026-06-01')
  }

  it.each(ENDINGS)(
    'has each event once and no other file (%s)',
    async when => {
      vi.useFakeTimers({ toFake: ['Date'] })
      let crashes = 0
      for (let crashAt = 0, isOver = false; !isOver; crashAt++) {
        using folder = createTemporaryDir()
        const first = createCrashingDisk(crashAt, when)
        await run(folder.dir, first.disk)
        isOver = !first.hasCrashed()
        if (!isOver) crashes++
        // The next member crashes early as well, now and then.
        await run(folder.dir, createCrashingDisk((crashAt * 5) % 17, when).disk)
        await expectEachEventOnce(folder.dir)
        expect(await run(folder.dir, durableFilesystem)).toBe(true)
        expect(listFiles(folder.dir)).toHaveLength(4)
        expect(listFiles(folder.dir)).toEqual(listCommittedFiles(folder.dir))
        expect((await readArchived(folder.dir)).map(({ event }) => event)).toEqual(events)
      }
      expect(crashes).toBeGreaterThan(when === 'within' ? 14 : 45)
    },
    60_000,
  )
})
