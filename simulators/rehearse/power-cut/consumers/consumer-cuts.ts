import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { keyOf, mulberry32 } from '../../../building/random.ts'
import { compileRecorder } from '../../inject/recorder.ts'
import { createModelDisk } from '../disk-model/disk.ts'
import type { RecordedCall } from '../recording/recorded-calls.ts'
import { recordProcesses } from '../workload/store-recording.ts'
import { type CommitPromises, createCommitPromises } from './commit-promises.ts'
import type { ConsumerOrders } from './consumer-process.ts'
import { type Consumer, consumers } from './consumer-stores.ts'

const PROGRAM = fileURLToPath(new URL('./consumer-process.ts', import.meta.url))
const COMMITS = 60
const MAX_FAULTS = 10

/** The counts of a rehearsal of power cuts under the consumers' files. */
export type ConsumerCutCounts = {
  points: number
  calls: number
  /** Commits that had returned before a cut, over all cut points. */
  promised: number
  /** Commits of an archive that had returned and were missing after the cut. */
  lost: number
  /** Cut points that left content which differs from the commits, or files that do not open. */
  corrupt: number
  /** Descriptions of the first faults. */
  faults: string[]
}

export type ConsumerCutOptions = {
  times: number
  seed: number
  /** The folder in which a temporary folder is created. */
  dir: string
  /** A module that the recorded processes import first, for example to break a promise. */
  hooks?: string
}

/**
 * Cuts the power `times` times under an archive and under a consumer's state in SQLite files, and
 * opens the surviving files as the next owner does: every archived commit that returned is there
 * with its file, and the state is that of its own offset. Afterwards one more commit must succeed.
 * The model of the disk is that of the rehearsal of outbox and inbox; folders themselves are never
 * lost. Returns null on a system other than Linux or without a C compiler.
 */
export async function rehearseConsumerCuts(
  options: ConsumerCutOptions,
): Promise<ConsumerCutCounts | null> {
  const { times, seed, hooks } = options
  await using stack = new AsyncDisposableStack()
  const dir = await realpath(await mkdtemp(join(options.dir, 'consumer-cut-')))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const library = compileRecorder(dir)
  if (library === null) return null
  const names = Object.keys(consumers)
  const recorded = await recordProcesses(library, dir, {
    names,
    argsOf(run, recordedDir) {
      const orders: ConsumerOrders = { dir: recordedDir, seed, run, commits: COMMITS }
      return [...(hooks ? [`--import=${hooks}`] : []), PROGRAM, JSON.stringify(orders)]
    },
  })
  const counts = { points: 0, calls: 0, promised: 0, lost: 0, corrupt: 0, faults: [] as string[] }
  const image = join(dir, 'image')
  for (const [name, calls] of recorded) {
    counts.calls += calls.length
    const share = Math.ceil(times / names.length)
    const random = mulberry32(keyOf(seed, name))
    for (const { at, files, promises } of cutsOf(calls, share, random)) {
      writeImage(image, files)
      const consumer = consumers[name as keyof typeof consumers]
      const { lost, faults } = await judge(consumer, image, { seed, promises })
      counts.points++
      counts.promised += promises.promised
      counts.lost += lost
      if (faults.length > 0) counts.corrupt++
      const texts = [...(lost > 0 ? [`${lost} lost`] : []), ...faults.slice(0, 2)]
      if (texts.length > 0 && counts.faults.length < MAX_FAULTS) {
        counts.faults.push(`${name}, call ${at}: ${texts.join('; ')}`)
      }
    }
  }
  return counts
}

/** Replays the calls once and cuts the power after some of them, in their order. */
function* cutsOf(calls: RecordedCall[], times: number, random: () => number) {
  const points = Array.from({ length: times }, () => Math.floor(random() * calls.length))
  const disk = createModelDisk()
  const promises = createCommitPromises()
  let done = 0
  for (const at of points.sort((a, b) => a - b)) {
    for (; done <= at; done++) {
      const call = calls[done]!
      if (call.kind === 'mark') promises.addLines(call.lines)
      else disk.apply(call)
    }
    yield { at, files: disk.afterCut(random), promises }
  }
}

function writeImage(dir: string, files: Map<string, Buffer>): void {
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir)
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), bytes)
  }
}

async function judge(
  { open, durableOf }: Consumer,
  dir: string,
  { seed, promises }: { seed: number; promises: CommitPromises },
): Promise<{ lost: number; faults: string[] }> {
  try {
    const opened = await open(dir, seed)
    const { committed } = opened
    const faults = await opened.faults()
    if (committed > promises.requested) faults.push(`commit ${committed} was never requested`)
    await opened.commit(committed + 1)
    await opened.close()
    return { lost: Math.max(0, durableOf(promises.promised) - committed), faults }
  } catch (error) {
    return { lost: 0, faults: [(error as Error).message] }
  }
}
