import { appendFileSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  type DurableFilesystem,
  durableFilesystem,
} from '../../../../cloud-bridge/consumers/archive/files/durable-filesystem.ts'
import {
  archivedIn,
  committedIn,
  feed,
  filesIn,
  openWork,
  recordsOf,
  someEvents,
  TOPIC,
  temporaryDir,
} from './fixture.ts'

const DAY_MS = 86_400_000
const STEPS = ['makeFolder', 'write', 'rename', 'syncFolder', 'append', 'cut', 'remove'] as const

class Killed extends Error {}

/** A disk on which the process dies before a step, or within one of those that write. */
function dyingDisk(dieAt: number, when: 'before' | 'within') {
  let steps = 0
  let hasDied = false
  const dying = (name: (typeof STEPS)[number]) => {
    const step = durableFilesystem[name] as (...args: unknown[]) => Promise<void>
    const mayDie = when === 'before' || name === 'write' || name === 'append'
    return async (...args: unknown[]) => {
      if (!hasDied && !(mayDie && steps++ === dieAt)) return step(...args)
      if (!hasDied && when === 'within') tear(name, args)
      hasDied = true
      throw new Killed()
    }
  }
  const disk = Object.fromEntries(STEPS.map(name => [name, dying(name)])) as DurableFilesystem
  return { disk, hasDied: () => hasDied }
}

function tear(name: string, args: unknown[]): void {
  const half = (bytes: unknown) => (bytes as Buffer).subarray(0, (bytes as Buffer).length / 2)
  if (name === 'write') writeFileSync(args[0] as string, half(args[1]))
  if (name === 'append') appendFileSync(args[0] as string, half(args[2]))
}

describe('the archive, killed at any step', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  const events = someEvents(8)
  const records = recordsOf(events)
  /** Takes all there is, as a member would; a day passes in the middle. Whether it lived. */
  const run = async (dir: string, disk: DurableFilesystem): Promise<boolean> => {
    vi.setSystemTime(Date.UTC(2026, 4, 1, 23, 59))
    try {
      await using work = await openWork({ dir, disk })
      await feed(work, TOPIC, records.slice(0, 5))
      vi.setSystemTime(Date.UTC(2026, 4, 1, 23, 59) + DAY_MS)
      await feed(work, TOPIC, records)
      return true
    } catch (error) {
      if (error instanceof Killed) return false
      throw error
    }
  }

  it.each(['before', 'within'] as const)(
    'has each event once and no other file (%s a step)',
    async when => {
      vi.useFakeTimers({ toFake: ['Date'] })
      let kills = 0
      for (let dieAt = 0, isOver = false; !isOver; dieAt++) {
        using place = temporaryDir()
        const first = dyingDisk(dieAt, when)
        await run(place.dir, first.disk)
        isOver = !first.hasDied()
        if (!isOver) kills++
        // Who comes next dies early as well, now and then.
        await run(place.dir, dyingDisk((dieAt * 5) % 17, when).disk)
        expect(await run(place.dir, durableFilesystem)).toBe(true)
        expect(filesIn(place.dir)).toEqual(committedIn(place.dir))
        expect((await archivedIn(place.dir)).map(({ event }) => event)).toEqual(events)
      }
      expect(kills).toBeGreaterThan(when === 'before' ? 25 : 8)
    },
    60_000,
  )
})
