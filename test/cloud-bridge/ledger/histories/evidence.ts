import { AWAITED_MAX_MS } from '../../../../cloud-bridge/ledger/assessment.ts'
import type { Card } from './simulated-card.ts'
import type { Reading, SimulatedNote } from './simulated-topics.ts'
import type { Fate, World } from './world.ts'

type Heads = { epoch: number; lastSequence: number }

/** What Kafka still has of a run: the highest number heard, and which runs say where it ends. */
function evidenceOf({ topics }: World, run: number) {
  let highest: number | null = null
  const hear = (number: number) => {
    highest = Math.max(highest ?? 0, number)
  }
  for (const { records } of [...topics.readings, ...topics.backfill]) {
    for (const { value } of records) if (value.epoch === run) hear(value.sequence)
  }
  const ends: { by: number; last: number }[] = []
  for (const { value: note } of topics.notes.records) {
    if (note.run === run) hear(0)
    const heads = headsIn(note)
    if (heads?.epoch !== run) continue
    hear(heads.lastSequence)
    if (note.run !== run) ends.push({ by: note.run!, last: heads.lastSequence })
  }
  return { highest: highest as number | null, ends }
}

function headsIn({ kind, content }: SimulatedNote): Heads | null {
  if (kind === 'heads') return content as Heads
  return kind === 'epoch' ? (content.previous as Heads | null) : null
}

/**
 * Whether Kafka has any sign that a lost reading existed. An image that is put back before Kafka
 * heard of anything newer leaves no sign; neither does a run of which Kafka has no record.
 */
export function isProvable(world: World, { reading }: Fate): boolean {
  if (isAmbiguous(world, reading)) return false
  if (isBeforeUnknownStart(world, reading)) return true
  let successor: number | undefined
  for (let run: number | undefined = reading.epoch; run; run = world.parents.get(run)) {
    const { highest, ends } = evidenceOf(world, run)
    if (highest !== null) {
      if (run === reading.epoch && reading.sequence <= highest) return true
      const isEnded = ends.some(({ by, last }) => by !== successor && last >= highest)
      const goesOn = ({ files: { outbox } }: Card) =>
        world.isOfLineage(run, outbox.epoch) && !world.isOfLineage(successor ?? 0, outbox.epoch)
      const isContinued = run !== reading.epoch && world.cards.some(goesOn)
      return !isEnded && !isContinued
    }
    successor = run
  }
  return false
}

/** Whether another reading can hide the loss of a reading. */
function isAmbiguous(world: World, { epoch, sequence }: Reading): boolean {
  const isHidden = [...world.fates.values()].some(
    ({ reading: other, delivered }) =>
      delivered && other.epoch === epoch && other.sequence === sequence,
  )
  // Of two cards that go on in one run, each can hide what the other lacks.
  return isHidden || [...world.sharedRuns].some(run => world.isOfLineage(run, epoch))
}

/** The lowest number that Kafka has of a run; Infinity without a number. */
function lowestOf({ topics }: World, run: number): number {
  const all = [...topics.readings, ...topics.backfill].flatMap(({ records }) => records)
  const own = all.flatMap(({ value }) => (value.epoch === run ? value.sequence : []))
  return Math.min(Number.POSITIVE_INFINITY, ...own)
}

const hasStart = ({ topics }: World, run: number) =>
  topics.notes.records.some(({ value }) => value.kind === 'epoch' && value.run === run)

/**
 * Whether a later run of the store begins in Kafka above number 1 without its first note, although
 * Kafka has deleted no reading: then the ledger cannot know what was before.
 */
function isBeforeUnknownStart(world: World, reading: Reading): boolean {
  const { readings, backfill } = world.topics
  if ([...readings, ...backfill].some(({ begin }) => begin > 0)) return false
  return [...world.firsts.keys()].some(run => {
    const lowest = lowestOf(world, run)
    const isUnknown = lowest > 1 && lowest < Number.POSITIVE_INFINITY && !hasStart(world, run)
    return isUnknown && reading.sequence < lowest && world.knows(run, reading)
  })
}

/** Whether Kafka's records of a reading's run are below and above the reading. */
export function isWithinEvidence(world: World, { reading }: Fate): boolean {
  const { epoch, sequence } = reading
  if (isAmbiguous(world, reading)) return false
  const isBegun = hasStart(world, epoch) || lowestOf(world, epoch) < sequence
  return isBegun && (evidenceOf(world, epoch).highest ?? 0) >= sequence
}

/**
 * Whether Kafka has had a note that claims a reading for longer than AWAITED_MAX_MS. A reading that
 * its own branch deferred can come later.
 */
export function isOverdue(world: World, { reading }: Fate): boolean {
  const { epoch, sequence } = reading
  const { records } = world.topics.notes
  const isDeferred = records.some(({ value: { kind, run, content } }) => {
    const isIn = sequence >= Number(content.from) && sequence <= Number(content.to)
    return kind === 'behind' && isIn && world.isOfLineage(epoch, run!)
  })
  const isClaimed = records.some(({ value, appendTimeMs }) => {
    const heads = headsIn(value)
    const isOld = appendTimeMs < world.nowMs - AWAITED_MAX_MS
    return isOld && heads?.epoch === epoch && heads.lastSequence >= sequence
  })
  return isClaimed && !isDeferred
}
