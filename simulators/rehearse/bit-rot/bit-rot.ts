import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Reading } from '../../../config/event/sensor-reading.ts'
import { isDamage, markDamaged, readDamageReason } from '../../../gateway/store/file/damage-mark.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { mulberry32 } from '../../building/random.ts'
import { type DeliveredContent, deliverStore } from './delivery.ts'
import { type FlipJudgement, judgeFlip } from './judgement.ts'
import {
  copyStoreFiles,
  createReading,
  FLIP_WEIGHTS,
  GATEWAY,
  type SampleStore,
  type StoreFile,
  storeFilePath,
  writeSampleStore,
} from './sample-store.ts'
import { digestStore } from './store-digest.ts'

export type BitRotOptions = {
  times: number
  seed: number
  /** A folder that only this rehearsal uses. The files of each fault stay in the folder. */
  dir: string
  onFlip?: (done: number, counts: BitRotCounts) => void
}

/** The results of the flips in one file. */
export type FlipCounts = {
  flips: number
  /** Flips of bits that SQLite never reads. */
  unused: number
  /** Flips after which everything was delivered without a recovery. */
  harmless: number
  /** Flips after which everything was delivered once the store was recovered. */
  recovered: number
  /** Flips that lost a reading or note, each named by a note. */
  lossy: number
  lostReadings: number
  lostReadingsMost: number
  lostNotes: number
}

/**
 * The counts of a rehearsal. `faults` describe broken promises: a start that fails, a loss without
 * a note, changed content.
 */
export type BitRotCounts = {
  readings: number
  total: FlipCounts
  files: Record<StoreFile, FlipCounts>
  faults: string[]
}

/** The number of starts within which gateway and bridge must recover the store; more is a fault. */
const STARTS_MAX = 4
/** The first number of the readings that are stored after a flip. */
const NEW_NUMBER = 1_000_000

/**
 * Flips one bit in the files of a store as a kill left the files, and runs the product on the
 * store: the gateway opens and recovers the store and stores one more reading, and the bridge
 * delivers everything. Repeats this `times` times, each time from the undamaged files. The seed
 * decides which bits flip.
 */
export async function rehearseBitRot(options: BitRotOptions): Promise<BitRotCounts> {
  const { times, seed, dir, onFlip } = options
  const random = mulberry32(seed)
  const sample = await writeSampleStore(dir, random)
  const soundDigest = digestStore(sample.dir)
  const files = Object.keys(FLIP_WEIGHTS) as StoreFile[]
  const counts: BitRotCounts = {
    readings: sample.delivered.events.length,
    total: noFlips(),
    files: Object.fromEntries(files.map(file => [file, noFlips()])) as BitRotCounts['files'],
    faults: [],
  }
  const lots = files.flatMap(file => new Array<StoreFile>(FLIP_WEIGHTS[file]).fill(file))
  const trial = join(dir, 'trial')
  for (let done = 0; done < times; ) {
    const file = lots[Math.floor(random() * lots.length)]!
    rmSync(trial, { recursive: true, force: true })
    mkdirSync(trial)
    copyStoreFiles(sample.dir, trial)
    const place = flipBit(storeFilePath(trial, file), random)
    const isUnused = !file.endsWith('bell') && digestStore(trial) === soundDigest
    const { faults, ...outcome } = await runUntilSound(sample, trial, random)
    for (const sum of [counts.total, counts.files[file]]) addFlip(sum, { ...outcome, isUnused })
    done++
    if (faults.length > 0) {
      counts.faults.push(...faults.map(fault => `flip ${done}, ${file} ${place}: ${fault}`))
      cpSync(trial, join(dir, `flip-${done}`), { recursive: true })
    }
    onFlip?.(done, counts)
  }
  rmSync(trial, { recursive: true, force: true })
  return counts
}

/** Flips one random bit of a file and returns the position of the bit as text. */
function flipBit(file: string, random: () => number): string {
  const bytes = readFileSync(file)
  const [at, bit] = [Math.floor(random() * bytes.length), Math.floor(random() * 8)]
  bytes[at]! ^= 1 << bit
  writeFileSync(file, bytes)
  return `byte ${at} bit ${bit}`
}

type FlipOutcome = FlipJudgement & { isRecovered: boolean }

/**
 * Runs gateway and bridge on a store until neither finds damage, like a supervisor that restarts
 * both processes.
 */
async function runUntilSound(
  sample: SampleStore,
  dir: string,
  random: () => number,
): Promise<FlipOutcome> {
  const all: DeliveredContent = { events: [], notes: [], damaged: null, isInboxRebuilt: false }
  const storedLater = new Map<number, number>()
  let isRecovered = false
  for (let start = 1; start <= STARTS_MAX; start++) {
    try {
      const run = await runOnce(dir, createReading(NEW_NUMBER + start, random))
      isRecovered ||= run.isRecovered || run.delivered.isInboxRebuilt
      all.events.push(...run.delivered.events)
      all.notes.push(...run.delivered.notes)
      if (run.sequence !== null) storedLater.set(run.sequence, NEW_NUMBER + start)
      if (!run.damaged) return { ...judgeFlip(sample, storedLater, all), isRecovered }
      all.damaged = run.damaged
    } catch (error) {
      return failed(`start ${start} of gateway and bridge failed: ${(error as Error).stack}`)
    }
  }
  return failed(`the store is still damaged after ${STARTS_MAX} starts: ${all.damaged}`)

  function failed(fault: string): FlipOutcome {
    return { lost: 0, lostNotes: 0, faults: [fault], isRecovered }
  }
}

/**
 * Runs gateway and bridge once: the gateway stores one reading, and the bridge delivers everything
 * that it can read.
 */
async function runOnce(dir: string, reading: Reading) {
  const file = join(dir, 'outbox.db')
  const outbox = openOutbox({ file, gateway: GATEWAY, inboxFile: join(dir, 'inbox.db') })
  const markingDamage = (work: () => void) => {
    try {
      work()
      return true
    } catch (error) {
      if (!isDamage(error)) throw error
      markDamaged(file, (error as Error).message)
      return false
    }
  }
  const isStored = markingDamage(() => outbox.commit({ readings: [reading], deadLetters: [] }))
  const sequence = isStored ? outbox.lastSequence : null
  const delivered = await deliverStore(dir)
  markingDamage(() => outbox.close())
  return {
    sequence,
    delivered,
    isRecovered: !!outbox.recovery,
    damaged: readDamageReason(file) ?? delivered.damaged,
  }
}

function noFlips(): FlipCounts {
  const lost = { lostReadings: 0, lostReadingsMost: 0, lostNotes: 0 }
  return { flips: 0, unused: 0, harmless: 0, recovered: 0, lossy: 0, ...lost }
}

type Flip = Omit<FlipOutcome, 'faults'> & { isUnused: boolean }

function addFlip(sum: FlipCounts, { lost, lostNotes, isRecovered, isUnused }: Flip): void {
  sum.flips++
  if (lost + lostNotes > 0) sum.lossy++
  else if (isRecovered) sum.recovered++
  else if (isUnused) sum.unused++
  else sum.harmless++
  sum.lostReadings += lost
  sum.lostReadingsMost = Math.max(sum.lostReadingsMost, lost)
  sum.lostNotes += lostNotes
}
