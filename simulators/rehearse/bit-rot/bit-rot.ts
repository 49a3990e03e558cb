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
  /** A directory of its own; what went wrong stays in it. */
  dir: string
  onFlip?: (done: number, counts: BitRotCounts) => void
}

/** How many flips ended how, of those in one file. */
export type FlipCounts = {
  flips: number
  /** Nobody reads what was flipped. */
  unused: number
  /** Everything arrived, and nobody had to do anything. */
  harmless: number
  /** Everything arrived once the store was salvaged. */
  recovered: number
  /** Something was lost, and named. */
  lossy: number
  lostReadings: number
  lostReadingsMost: number
  lostNotes: number
}

/** `faults` is what must never be: a start that fails, what is lost without a note or changed. */
export type BitRotCounts = {
  readings: number
  total: FlipCounts
  files: Record<StoreFile, FlipCounts>
  faults: string[]
}

/** A store that is not well after so many starts does not get well. */
const STARTS_MAX = 4
/** What readings taken after a flip count from. */
const NEW_NUMBER = 1_000_000

/**
 * Flips one bit of a store's files, as a kill left them, and runs what the product does then: the
 * gateway opens and heals, takes another reading, the bridge delivers all; as often as `times`,
 * each time from the sound files. The places of the flips repeat with the seed.
 */
export async function rehearseBitRot(options: BitRotOptions): Promise<BitRotCounts> {
  const { times, seed, dir, onFlip } = options
  const random = mulberry32(seed)
  const original = await writeSampleStore(dir, random)
  const soundDigest = digestStore(original.dir)
  const files = Object.keys(FLIP_WEIGHTS) as StoreFile[]
  const counts: BitRotCounts = {
    readings: original.delivered.events.length,
    total: none(),
    files: Object.fromEntries(files.map(file => [file, none()])) as BitRotCounts['files'],
    faults: [],
  }
  const lots = files.flatMap(file => new Array<StoreFile>(FLIP_WEIGHTS[file]).fill(file))
  const trial = join(dir, 'trial')
  for (let done = 0; done < times; ) {
    const file = lots[Math.floor(random() * lots.length)]!
    rmSync(trial, { recursive: true, force: true })
    mkdirSync(trial)
    copyStoreFiles(original.dir, trial)
    const place = flipOne(storeFilePath(trial, file), random)
    const isUnused = !file.endsWith('bell') && digestStore(trial) === soundDigest
    const { faults, ...outcome } = await live(original, trial, random)
    for (const one of [counts.total, counts.files[file]]) count(one, { ...outcome, isUnused })
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

/** Flips one bit somewhere in a file and tells where. */
function flipOne(file: string, random: () => number): string {
  const bytes = readFileSync(file)
  const [at, bit] = [Math.floor(random() * bytes.length), Math.floor(random() * 8)]
  bytes[at]! ^= 1 << bit
  writeFileSync(file, bytes)
  return `byte ${at} bit ${bit}`
}

/** Starts gateway and bridge on a store until it is well, as those who supervise them do. */
async function live(original: SampleStore, dir: string, random: () => number): Promise<Life> {
  const arrived: DeliveredContent = { events: [], notes: [], damaged: null, isInboxNew: false }
  const later = new Map<number, number>()
  let isHealed = false
  for (let start = 1; start <= STARTS_MAX; start++) {
    try {
      const run = await startOnce(dir, createReading(NEW_NUMBER + start, random))
      isHealed ||= run.isHealed || run.delivered.isInboxNew
      arrived.events.push(...run.delivered.events)
      arrived.notes.push(...run.delivered.notes)
      if (run.taken !== null) later.set(run.taken, NEW_NUMBER + start)
      if (!run.damaged) return { ...judgeFlip(original, later, arrived), isHealed }
      arrived.damaged = run.damaged
    } catch (error) {
      return failed(`start ${start}: ${(error as Error).stack}`)
    }
  }
  return failed(`not well after ${STARTS_MAX} starts: ${arrived.damaged}`)

  function failed(fault: string): Life {
    return { lost: 0, lostNotes: 0, faults: [fault], isHealed }
  }
}

type Life = FlipJudgement & { isHealed: boolean }

/** One run of both: the gateway opens and takes one reading, the bridge delivers what it can. */
async function startOnce(dir: string, reading: Reading) {
  const file = join(dir, 'outbox.db')
  const outbox = openOutbox({ file, gateway: GATEWAY, inboxFile: join(dir, 'inbox.db') })
  const meeting = (work: () => void) => {
    try {
      work()
      return true
    } catch (error) {
      if (!isDamage(error)) throw error
      markDamaged(file, (error as Error).message)
      return false
    }
  }
  const isTaken = meeting(() => outbox.commit({ readings: [reading], deadLetters: [] }))
  const taken = isTaken ? outbox.lastSequence : null
  const delivered = await deliverStore(dir)
  meeting(() => outbox.close())
  return {
    taken,
    delivered,
    isHealed: !!outbox.recovery,
    damaged: readDamageReason(file) ?? delivered.damaged,
  }
}

function none(): FlipCounts {
  const lost = { lostReadings: 0, lostReadingsMost: 0, lostNotes: 0 }
  return { flips: 0, unused: 0, harmless: 0, recovered: 0, lossy: 0, ...lost }
}

type Flip = Omit<Life, 'faults'> & { isUnused: boolean }

function count(to: FlipCounts, { lost, lostNotes, isHealed, isUnused }: Flip): void {
  to.flips++
  if (lost + lostNotes > 0) to.lossy++
  else if (isHealed) to.recovered++
  else if (isUnused) to.unused++
  else to.harmless++
  to.lostReadings += lost
  to.lostReadingsMost = Math.max(to.lostReadingsMost, lost)
  to.lostNotes += lostNotes
}
