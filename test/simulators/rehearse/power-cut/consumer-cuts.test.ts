import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { compileRecorder } from '../../../../simulators/rehearse/inject/recorder.ts'
import { rehearseConsumerCuts } from '../../../../simulators/rehearse/power-cut/consumers/consumer-cuts.ts'
import { powerCutDir } from '../../../../simulators/rehearse/power-cut/power-cut.ts'

const dir = mkdtempSync(join(tmpdir(), 'sluice-test-'))
afterAll(() => rmSync(dir, { recursive: true }))
const hasCompiler = (await compileRecorder(dir)) !== null
const options = { times: 120, seed: 20261201, dir: powerCutDir() }
const hooksOf = (promise: string) =>
  new URL(`../../../../simulators/rehearse/sabotage.ts?${promise}`, import.meta.url).href

describe.skipIf(!hasCompiler)('power cuts under consumers (they need a C compiler)', () => {
  it('lose no archived commit, and leave a state that belongs to its offset', async () => {
    const counts = (await rehearseConsumerCuts(options))!
    process.stderr.write(`power cuts under consumers: ${JSON.stringify(counts)}\n`)
    expect(counts).toMatchObject({ points: 120, lost: 0, corrupt: 0, faults: [] })
    expect(counts.promised).toBeGreaterThan(1000)
  }, 120_000)

  it.each([
    ['a manifest line that is not fsynced', 'manifest-unsynced', 'archive'],
    ['an archive file that is not fsynced', 'archive-file-unsynced', 'archive'],
    ['the name of an archive file that is not fsynced', 'archive-name-unsynced', 'archive'],
    ['a state that is not fsynced before its checkpoint', 'state-unsynced', 'state'],
  ])(
    'show %s',
    async (_, promise, consumer) => {
      const counts = (await rehearseConsumerCuts({ ...options, hooks: hooksOf(promise) }))!
      expect(counts.lost + counts.corrupt).toBeGreaterThan(0)
      expect(counts.faults.every(fault => fault.startsWith(consumer))).toBe(true)
    },
    120_000,
  )
})
