import { appendFileSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  type DurableFilesystem,
  durableFilesystem,
} from '../../../../cloud-bridge/consumers/archive/files/durable-filesystem.ts'
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

const DAY_MS = 86_400_000
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

/** A disk on which the process crashes before a step, or within a step that writes. */
function createCrashingDisk(crashAt: number, when: 'before' | 'within') {
  let steps = 0
  let hasCrashed = false
  const crashing = (name: (typeof STEPS)[number]) => {
    const step = durableFilesystem[name] as (...args: unknown[]) => Promise<void>
    const mayCrash = when === 'before' || name === 'write' || name === 'append'
    return async (...args: unknown[]) => {
      if (!hasCrashed && !(mayCrash && steps++ === crashAt)) return step(...args)
      if (!hasCrashed && when === 'within') tear(name, args)
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
      await using work = await openWork({ dir, disk })
      await feed(work, TOPIC, records.slice(0, 5))
      vi.setSystemTime(Date.UTC(2026, 4, 1, 23, 59) + DAY_MS)
      await feed(work, TOPIC, records)
      return true
    } catch (error) {
      if (error instanceof Crash) return false
      throw error
    }
  }

  it.each(['before', 'within'] as const)(
    'has each event once and no other file (crash %s a step)',
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
        expect(await run(folder.dir, durableFilesystem)).toBe(true)
        expect(listFiles(folder.dir)).toEqual(listCommittedFiles(folder.dir))
        expect((await readArchived(folder.dir)).map(({ event }) => event)).toEqual(events)
      }
      expect(crashes).toBeGreaterThan(when === 'before' ? 25 : 8)
    },
    60_000,
  )
})
