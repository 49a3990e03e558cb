import type * as Fs from 'node:fs'
import { expect, it, vi } from 'vitest'
import { setAsideFilesOf } from '../../../../gateway/store/file/damaged-files.ts'
import { isFirst, open, overwrite, withDamaged } from '../file/damaged-file.ts'
import { readOutbox } from '../fixture.ts'

/**
 * `failAt` is the step, counted from 1, before or after which (`isAfter`) the power fails; 0 means
 * never.
 */
const { power } = vi.hoisted(() => ({ power: { failAt: 0, isAfter: false, steps: 0 } }))

vi.mock('node:fs', async importOriginal => {
  const fs = await importOriginal<typeof Fs>()
  const steps = ['renameSync', 'rmSync', 'fsyncSync', 'writeFileSync'] as const
  const mayFail =
    (step: (...given: unknown[]) => unknown) =>
    (...given: unknown[]) => {
      const isNow = ++power.steps === power.failAt
      if (isNow && power.isAfter) step(...given)
      if (power.failAt > 0 && power.steps >= power.failAt) throw new Error('power')
      return step(...given)
    }
  const failing = steps.map(name => [name, mayFail(fs[name] as never)])
  const all = { ...fs, ...Object.fromEntries(failing) }
  return { ...all, default: all }
})

it('an outbox is recovered wherever power fails during the recovery, and fails again', () => {
  let failures = 0
  const openWithFailure = (file: string, failAt: number, isAfter: boolean) => {
    Object.assign(power, { failAt, isAfter, steps: 0 })
    try {
      open(file).close()
      return false
    } catch (error) {
      expect(String(error)).toContain('power')
      return true
    } finally {
      power.failAt = 0
    }
  }
  for (let hasFailed = true, failAt = 1; hasFailed; failAt++) {
    for (const isAfter of [false, true]) {
      using at = withDamaged(file => void overwrite(file, isFirst))
      hasFailed = openWithFailure(at.file, failAt, isAfter)
      if (hasFailed) failures++
      openWithFailure(at.file, Math.ceil(failAt / 2), isAfter)
      open(at.file).close()
      expect(readOutbox(at.file).events).toEqual(at.before.events)
      expect(setAsideFilesOf(at.file).length).toBeGreaterThan(0)
      expect(at.names().filter(name => /heal|damaged$/.test(name))).toEqual([])
    }
  }
  expect(failures).toBeGreaterThan(20)
})
