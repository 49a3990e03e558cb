import {
  assessGateways,
  type GatewayAssessment,
} from '../../../../cloud-bridge/ledger/assessment.ts'
import { createLedger } from '../../../../cloud-bridge/ledger/ledger.ts'
import { decodeNote } from '../../../../cloud-bridge/ledger/notes/notes.ts'
import { createReport, type LedgerReport } from '../../../../cloud-bridge/ledger/report.ts'
import type { Card } from './simulated-card.ts'
import type { Reading, SimulatedNote } from './simulated-topics.ts'
import { BATCH_MAX, type Fate, type World } from './world.ts'

export const SILENT_AFTER_MS = 30_000

/** The ledger's verdict on the simulated topics, with the ledger's own code. */
export function verdictOn({ topics, nowMs }: World): LedgerReport {
  const ledger = createLedger()
  ledger.noteNumbers.recordDeadLetterTopic(true)
  ledger.expectBackfill()
  if (topics.notes.begin > 0) ledger.setNoteLogStart(0, startOf(topics.notes))
  for (const { value, appendTimeMs } of topics.notes.records) {
    const note = decodeNote(Buffer.from(JSON.stringify(value)), appendTimeMs)
    if (!note) throw new Error(`the ledger cannot decode ${JSON.stringify(value)}`)
    ledger.noteNumbers.add(note, { isDeadLetter: false })
    ledger.addNote(note)
  }
  for (const [partition, log] of topics.backfill.entries()) {
    if (log.begin > 0) ledger.setBackfillLogStart(partition, startOf(log))
    for (const { value, appendTimeMs } of log.records) ledger.addEvent({ ...value, appendTimeMs })
  }
  for (const [partition, log] of topics.readings.entries()) {
    if (log.begin + log.records.length > 0) ledger.setLogStart(partition, startOf(log))
    for (const { value, appendTimeMs } of log.records) {
      ledger.addEvent({ ...value, appendTimeMs, partition })
    }
  }
  const { logStarts, backfillLogStarts, noteLogStarts } = ledger
  const options = { nowMs, silentAfterMs: SILENT_AFTER_MS, inFlightMaxEvents: BATCH_MAX }
  const assessments = assessGateways(ledger.gateways.values(), {
    ...{ ...options, logStarts, backfillLogStarts, noteLogStarts },
  })
  return createReport(assessments, 0, nowMs)
}

/**
 * The first acknowledged reading that is gone without a name although the report calls every
 * gateway complete, as a text; null without one. A gateway can be complete in a report that is
 * `incomplete`, because notes explain other readings.
 */
export function findFalseProof(world: World, report: LedgerReport): string | null {
  const isProven = ({ state }: GatewayAssessment) => state === 'complete' || state === 'retired'
  if (!report.gateways.every(isProven) || report.gateways.length === 0) return null
  const twice = report.verdict === 'complete' ? findConflict(world) : null
  if (twice) return `two readings under one id: ${JSON.stringify(twice)}`
  // A store can change its name, so the oldest moment of all gateways counts.
  const provenMs = Math.min(...report.gateways.map(({ time }) => time ?? Number.NEGATIVE_INFINITY))
  const oldestKeptMs = Math.max(
    ...[...world.topics.readings, ...world.topics.backfill].map(startOf),
  )
  for (const fate of world.fates.values()) {
    const { reading, delivered, named, lostAtMs } = fate
    if (delivered || named.length > 0 || reading.receivedAt <= oldestKeptMs) continue
    const isClaimed = reading.receivedAt <= provenMs
    const isLongLost = lostAtMs !== null && world.nowMs - lostAtMs > SILENT_AFTER_MS
    if (!isClaimed && !isLongLost) continue
    if (!world.isRetired(fate) && isProvable(world, fate)) return `gone: ${JSON.stringify(fate)}`
  }
  return null
}

/** Two different readings in Kafka under one run and number. */
function findConflict({ topics }: World): Reading[] | null {
  const byId = new Map<string, Reading>()
  for (const { records } of [...topics.readings, ...topics.backfill]) {
    for (const { value } of records) {
      const id = `${value.epoch} ${value.sequence}`
      const known = byId.get(id) ?? value
      if (known.key !== value.key && known.receivedAt !== value.receivedAt) return [known, value]
      byId.set(id, known)
    }
  }
  return null
}

type AnyLog = { begin: number; records: { appendTimeMs: number }[] }

const startOf = ({ begin, records: [first] }: AnyLog) =>
  begin === 0 ? Number.NEGATIVE_INFINITY : (first?.appendTimeMs ?? Number.POSITIVE_INFINITY)

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
function isProvable(world: World, { reading }: Fate): boolean {
  const isHidden = [...world.fates.values()].some(
    ({ reading: other, delivered }) =>
      delivered && other.epoch === reading.epoch && other.sequence === reading.sequence,
  )
  if (isHidden) return false
  // Of two cards that go on in one run, each can hide what the other lacks.
  const isShared = [...world.sharedRuns].some(run => world.isOfLineage(run, reading.epoch))
  if (isShared) return false
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
