import type * as Fs from 'node:fs'
import { expect, it, vi } from 'vitest'
import { setAsideFilesOf } from '../../../../gateway/store/file/damaged-files.ts'
import { isFirst, open, overwrite, withDamaged } from '../file/damaged-file.ts'
import { readOutbox } from '../fixture.ts'

/** The step, counted from 1, before or behind which power goes; 0: never. */
const { power } = vi.hoisted(() => ({ power: { cutAt: 0, isBehind: false, steps: 0 } }))

vi.mock('node:fs', async importOriginal => {
  const fs = await importOriginal<typeof Fs>()
  const steps = ['renameSync', 'rmSync', 'fsyncSync', 'writeFileSync'] as const
  const mayFail =
    (step: (...given: unknown[]) => unknown) =>
    (...given: unknown[]) => {
      const isNow = ++power.steps === power.cutAt
      if (isNow && power.isBehind) step(...given)
      if (power.cutAt > 0 && power.steps >= power.cutAt) throw new Error('power')
      return step(...given)
    }
  const failing = steps.map(name => [name, mayFail(fs[name] as never)])
  const all = { ...fs, ...Object.fromEntries(failing) }
  return { ...all, default: all }
})

it('an outbox heals wherever power goes while it is healed, and goes again', () => {
  let cuts = 0
  const openCut = (file: string, cutAt: number, isBehind: boolean) => {
    Object.assign(power, { cutAt, isBehind, steps: 0 })
    try {
      open(file).close()
      return false
    } catch (error) {
      expect(String(error)).toContain('power')
      return true
    } finally {
      power.cutAt = 0
    }
  }
  for (let isCut = true, cutAt = 1; isCut; cutAt++) {
    for (const isBehind of [false, true]) {
      using at = withDamaged(file => void overwrite(file, isFirst))
      isCut = openCut(at.file, cutAt, isBehind)
      if (isCut) cuts++
      openCut(at.file, Math.ceil(cutAt / 2), isBehind)
      open(at.file).close()
      expect(readOutbox(at.file).events).toEqual(at.before.events)
      expect(setAsideFilesOf(at.file).length).toBeGreaterThan(0)
      expect(at.names().filter(name => /heal|damaged$/.test(name))).toEqual([])
    }
  }
  expect(cuts).toBeGreaterThan(20)
})
