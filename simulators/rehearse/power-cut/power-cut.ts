import { existsSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as yieldToOthers } from 'node:timers/promises'
import { keyOf } from '../../building/random.ts'
import { compileRecorder } from '../inject/recorder.ts'
import { addCoverage, coverageOf, type RecordingCoverage } from './judgement/coverage.ts'
import { chooseCutPoints } from './recording/cut-points.ts'
import type { StorePromises, WorkloadPhase } from './recording/marks.ts'
import { cutPower, type PowerCut } from './simulated-cuts.ts'
import type { Sabotage } from './workload/sabotage.ts'
import { recordStores } from './workload/store-recording.ts'

export type { Sabotage }

/** The counts of a rehearsal of power cuts. */
export type PowerCutCounts = {
  /** The number of cut points: each is one simulated power cut. */
  points: number
  byPhase: Partial<Record<WorkloadPhase, number>>
  /** What happened in the recordings; null before the first recording. */
  coverage: RecordingCoverage | null
  /** The number of recorded calls. Each cut point is drawn from the calls. */
  calls: number
  /** Readings, dead letters, notes and positions promised before a cut, over all cut points. */
  acknowledged: number
  /** How many of the promised items were missing after the cut. */
  lost: number
  /**
   * How many cut points left content that was never written, or is duplicated, changed or partial.
   */
  corrupt: number
  /** How many cut points left an outbox or inbox that could not be opened. */
  cannotOpen: number
  /** Descriptions of the first `MAX_FAULTS` faults. */
  faults: string[]
}

export type PowerCutOptions = {
  times: number
  seed: number
  /**
   * The folder in which a temporary folder is created (see powerCutDir). The temporary folder is
   * removed at the end.
   */
  dir: string
  onProgress?: (done: number, times: number) => void
  /** Breaks a promise of the store on purpose; the rehearsal must detect the broken promise. */
  sabotage?: Sabotage
}

const POINTS_PER_ROUND = 1000
const STORES_PER_ROUND = 8
const STEPS = 25
/**
 * The steps of a long store: enough commits of few pages that SQLite makes automatic checkpoints.
 */
const LONG_STEPS = 600
const LONG_FROM_TIMES = 100
const MAX_FAULTS = 10
const YIELD_EVERY = 20

/**
 * The stores of a round. A long store takes much time, so a rehearsal of few cuts has no long
 * store.
 */
const storesFor = (times: number) =>
  Array.from({ length: STORES_PER_ROUND }, (_, at) => {
    const isLong = at === 0 && times >= LONG_FROM_TIMES
    return { name: `store${at}`, steps: isLong ? LONG_STEPS : STEPS, isLong }
  })

/**
 * The folder for temporary files: in memory where the system has such a folder, which is fast and
 * does not wear a memory card.
 */
export const powerCutDir = () => (existsSync('/dev/shm') ? '/dev/shm' : tmpdir())

/**
 * Cuts the power `times` times under the product's own code and compares the surviving files with
 * the promises of the store. First the rehearsal records, call by call, processes that run every
 * operation on outbox and inbox (see workload/steps.ts). Then, for seeded points of the recording,
 * it writes the files as a power cut may leave them (see createModelDisk) and opens them. The seed
 * decides the operations and the draws; ids and times in the files differ from run to run, as they
 * do in the product. Returns null on a system other than Linux or without a C compiler.
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
    const pointsOfRound = Math.min(POINTS_PER_ROUND, times - first)
    const points = chooseCutPoints(recorded, { times: pointsOfRound, first, seed: roundSeed })
    for (const calls of recorded.values()) counts.calls += calls.length
    counts.coverage = addCoverage(counts.coverage, coverageOf(recorded))
    for (const cut of cutPower(recorded, points, { seed: roundSeed, dir })) {
      add(counts, cut)
      if (counts.points % YIELD_EVERY > 0) continue
      onProgress?.(counts.points, times)
      await yieldToOthers()
    }
  }
  return counts
}

const noCounts = (): PowerCutCounts => ({
  ...{ points: 0, byPhase: {}, coverage: null, calls: 0, acknowledged: 0 },
  ...{ lost: 0, corrupt: 0, cannotOpen: 0, faults: [] },
})

function add(counts: PowerCutCounts, { point, promises, finding }: PowerCut): void {
  const { lost, corrupt, cannotOpen } = finding
  counts.points++
  counts.byPhase[point.phase] = (counts.byPhase[point.phase] ?? 0) + 1
  counts.acknowledged += countPromises(promises)
  counts.lost += lost
  if (corrupt.length > 0) counts.corrupt++
  if (cannotOpen !== null) counts.cannotOpen++
  const faults = [lost > 0 && `${lost} lost`, cannotOpen, ...corrupt.slice(0, 3)].filter(Boolean)
  if (faults.length > 0 && counts.faults.length < MAX_FAULTS) {
    const { number, phase, store, at } = point
    counts.faults.push(`point ${number} (${phase}, ${store}, call ${at}): ${faults.join('; ')}`)
  }
}

const countPromises = ({ acknowledged, notes, position }: StorePromises) =>
  acknowledged.readings +
  acknowledged.deadLetters +
  notes.promised +
  Math.min(position.promised.next, 1)
