import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import {
  type PowerCutOptions,
  powerCutDir,
  rehearsePowerCuts,
} from '../../../simulators/rehearse/power-cut.ts'
import { compileRecorder } from '../../../simulators/rehearse/recorder.ts'

const dir = mkdtempSync(join(tmpdir(), 'sluice-test-'))
afterAll(() => rmSync(dir, { recursive: true }))
const hasCompiler = (await compileRecorder(dir)) !== null

const SEED = 20261123
const rehearse = async (more: Partial<PowerCutOptions>) =>
  (await rehearsePowerCuts({ times: 60, seed: SEED, dir: powerCutDir(), ...more }))!

describe.skipIf(!hasCompiler)('power cuts (they need a C compiler)', () => {
  it('lose and damage nothing that was acknowledged', async () => {
    const seen: number[] = []
    const counts = await rehearse({ times: 150, onProgress: done => seen.push(done) })
    process.stderr.write(`power cuts: ${JSON.stringify(counts)}\n`)
    expect(counts).toMatchObject({ points: 150, lost: 0, corrupt: 0, cannotOpen: 0, faults: [] })
    const phases = ['migration', 'open', 'commit', 'checkpoint', 'inbox']
    expect(Object.keys(counts.byPhase)).toEqual(expect.arrayContaining(phases))
    expect(Math.min(...Object.values(counts.byPhase))).toBeGreaterThanOrEqual(20)
    expect(counts.acknowledged).toBeGreaterThan(10_000)
    expect(seen.length).toBeGreaterThan(1)
  }, 120_000)

  it('show an acknowledgement that comes before its commit', async () => {
    const counts = await rehearse({ sabotage: 'ack-first' })
    expect(counts.lost).toBeGreaterThan(0)
  }, 120_000)

  it('show commits that do not wait for their fsync', async () => {
    const counts = await rehearse({ sabotage: 'no-fsync' })
    expect(counts.lost).toBeGreaterThan(0)
  }, 120_000)
})

it('power cuts are left out where nothing can be compiled', async () => {
  const path = process.env.PATH
  process.env.PATH = ''
  try {
    expect(await rehearsePowerCuts({ times: 1, seed: SEED, dir })).toBeNull()
  } finally {
    process.env.PATH = path
  }
})
