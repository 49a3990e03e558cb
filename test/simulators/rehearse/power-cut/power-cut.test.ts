import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { compileRecorder } from '../../../../simulators/rehearse/inject/recorder.ts'
import {
  type PowerCutOptions,
  powerCutDir,
  rehearsePowerCuts,
} from '../../../../simulators/rehearse/power-cut/power-cut.ts'

const dir = mkdtempSync(join(tmpdir(), 'sluice-test-'))
afterAll(() => rmSync(dir, { recursive: true }))
const hasCompiler = (await compileRecorder(dir)) !== null

const SEED = 20261123
const PHASES = [
  ...[
    'checkpoint',
    'commit',
    'creation',
    'drop',
    'inbox',
    'migration',
    'open',
    'prune',
    'recovery',
  ],
]
const rehearse = async (more: Partial<PowerCutOptions>) =>
  (await rehearsePowerCuts({ times: 60, seed: SEED, dir: powerCutDir(), ...more }))!

describe.skipIf(!hasCompiler)('power cuts (they need a C compiler)', () => {
  it('lose and damage nothing that was acknowledged', async () => {
    const seen: number[] = []
    const counts = await rehearse({ times: 150, onProgress: done => seen.push(done) })
    process.stderr.write(`power cuts: ${JSON.stringify(counts)}\n`)
    expect(counts).toMatchObject({ points: 150, lost: 0, corrupt: 0, cannotOpen: 0, faults: [] })
    const shares = Object.values(counts.byPhase)
    expect(Object.keys(counts.byPhase).sort()).toEqual(PHASES)
    expect(Math.min(...shares)).toBeGreaterThanOrEqual(Math.floor(150 / PHASES.length))
    // Each operation of the coverage really happened: space was freed, and recovered files replaced
    // damaged files.
    expect(Math.min(...Object.values(counts.coverage!))).toBeGreaterThan(0)
    expect(counts.acknowledged).toBeGreaterThan(10_000)
    expect(seen.length).toBeGreaterThan(1)
  }, 120_000)

  it.each([
    ['an acknowledgement before its commit', 'ack-first'],
    ['commits that do not wait for their fsync', 'no-fsync'],
    ['events pruned by a position that is not saved yet', 'prune-first'],
    ['events dropped without a tombstone', 'drop-silently'],
    ['a migration that is not one transaction', 'half-migration'],
    ['a recovered file that is not on disk before it replaces the damaged one', 'recover-unsynced'],
  ] as const)(
    'show %s',
    async (_, sabotage) => {
      const counts = await rehearse({ times: 90, sabotage })
      expect(counts.lost).toBeGreaterThan(0)
    },
    120_000,
  )
})

it('power cuts are skipped where nothing can be compiled', async () => {
  const path = process.env.PATH
  process.env.PATH = ''
  try {
    expect(await rehearsePowerCuts({ times: 1, seed: SEED, dir })).toBeNull()
  } finally {
    process.env.PATH = path
  }
})
