import { existsSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as letOthers } from 'node:timers/promises'
import { keyOf } from '../../building/random.ts'
import { compileRecorder } from '../inject/recorder.ts'
import { addCoverage, coverageOf, type RecordingCoverage } from './judgement/coverage.ts'
import { chooseCutPoints } from './recording/cut-points.ts'
import type { StorePromises, WorkloadPhase } from './recording/marks.ts'
import { cutPower, type PowerCut } from './simulated-cuts.ts'
import type { Sabotage } from './workload/sabotage.ts'
import { recordStores } from './workload/store-recording.ts'

export type { Sabotage }

/** What so many power cuts did. */
export type PowerCutCounts = {
  points: number
  byPhase: Partial<Record<WorkloadPhase, number>>
  /** What the recordings show to have happened; null before the first. */
  coverage: RecordingCoverage | null
  /** Recorded calls, from which the points were drawn. */
  calls: number
  /** Readings, dead letters, notes and positions promised before a cut, over all points. */
  acknowledged: number
  /** How many of them were not there. */
  lost: number
  /** Points at which something stood there that was never written, twice, changed or by halves. */
  corrupt: number
  /** Points at which outbox or inbox did not open. */
  cannotOpen: number
  /** The first few faults in words. */
  faults: string[]
}

export type PowerCutOptions = {
  times: number
  seed: number
  /** Where everything is done, in a folder that is gone at the end (see powerCutDir). */
  dir: string
  onProgress?: (done: number, times: number) => void
  /** Breaks a promise of the store on purpose, to see that it is noticed. */
  sabotage?: Sabotage
}

const POINTS_PER_ROUND = 1000
const STORES_PER_ROUND = 8
const STEPS = 25
/** So many commits of few pages make SQLite checkpoint by itself. */
const LONG_STEPS = 600
const LONG_FROM_TIMES = 100
const MAX_FAULTS = 10
const YIELD_EVERY = 20

/** A few cuts are not worth the long store. */
const storesFor = (times: number) =>
  Array.from({ length: STORES_PER_ROUND }, (_, at) => {
    const isLong = at === 0 && times >= LONG_FROM_TIMES
    return { name: `store${at}`, steps: isLong ? LONG_STEPS : STEPS, isLong }
  })

/** Where a rehearsal is fast and spares the card: in memory, if there is such a folder. */
export const powerCutDir = () => (existsSync('/dev/shm') ? '/dev/shm' : tmpdir())

/**
 * Cuts the power `times` times under the product's own code and compares what is left with what
 * was promised. Processes that do all that happens to outbox and inbox (see power-cut/steps.ts)
 * are recorded call by call; then, for seeded moments of the recording, the files are made as a
 * cut may leave them (see startDisk) and opened again. The seed gives the work and the draws; ids
 * and times in the files differ from run to run, as they do in the product. Gives null where there
 * is no C compiler, or no Linux.
 */
export async function rehearsePowerCuts(options: PowerCutOptions): Promise<PowerCutCounts | null> {
  const { times, seed, sabotage = null, onProgress } = options
  await using stack = new AsyncDisposableStack()
  const dir = await realpath(await mkdtemp(join(options.dir, 'power-cut-')))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const library = compileRecorder(dir)
  if (library === null) return null
  const counts = noCounts()
  const stores = storesFor(times)
  for (let first = 0; first < times; first += POINTS_PER_ROUND) {
    const roundSeed = keyOf(seed, `round ${first}`)
    const recorded = await recordStores(library, dir, { seed: roundSeed, stores, sabotage })
    const many = Math.min(POINTS_PER_ROUND, times - first)
    const points = chooseCutPoints(recorded, { times: many, first, seed: roundSeed })
    for (const calls of recorded.values()) counts.calls += calls.length
    counts.coverage = addCoverage(counts.coverage, coverageOf(recorded))
    for (const compared of cutPower(recorded, points, { seed: roundSeed, dir })) {
      add(counts, compared)
      if (counts.points % YIELD_EVERY > 0) continue
      onProgress?.(counts.points, times)
      await letOthers()
    }
  }
  return counts
}

const noCounts = (): PowerCutCounts => ({
  ...{ points: 0, byPhase: {}, coverage: null, calls: 0, acknowledged: 0 },
  ...{ lost: 0, corrupt: 0, cannotOpen: 0, faults: [] },
})

function add(counts: PowerCutCounts, { point, promised, finding }: PowerCut): void {
  const { lost, corrupt, cannotOpen } = finding
  counts.points++
  counts.byPhase[point.phase] = (counts.byPhase[point.phase] ?? 0) + 1
  counts.acknowledged += amountOf(promised)
  counts.lost += lost
  if (corrupt.length > 0) counts.corrupt++
  if (cannotOpen !== null) counts.cannotOpen++
  const said = [lost > 0 && `${lost} lost`, cannotOpen, ...corrupt.slice(0, 3)].filter(Boolean)
  if (said.length > 0 && counts.faults.length < MAX_FAULTS) {
    const { number, phase, store, at } = point
    counts.faults.push(`point ${number} (${phase}, ${store}, call ${at}): ${said.join('; ')}`)
  }
}

const amountOf = ({ acknowledged, notes, position }: StorePromises) =>
  acknowledged.readings +
  acknowledged.deadLetters +
  notes.promised +
  Math.min(position.promised.next, 1)
