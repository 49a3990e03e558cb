import {
  assessGateways,
  type GatewayAssessment,
} from '../../../../cloud-bridge/ledger/assessment.ts'
import { createLedger } from '../../../../cloud-bridge/ledger/ledger.ts'
import { decodeNote } from '../../../../cloud-bridge/ledger/notes/notes.ts'
import { createReport, type LedgerReport } from '../../../../cloud-bridge/ledger/report.ts'
import { isOverdue, isProvable, isWithinEvidence } from './evidence.ts'
import type { Reading } from './simulated-topics.ts'
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
 * The first acknowledged reading that is gone although the report calls every gateway complete, as
 * a text; null without one. A gateway can be complete in a report that is `incomplete`, because
 * notes or retirements explain readings; a verdict of `complete` allows no such reading.
 */
export function findFalseProof(world: World, report: LedgerReport): string | null {
  const isProven = ({ state }: GatewayAssessment) => state === 'complete' || state === 'retired'
  if (!report.gateways.every(isProven) || report.gateways.length === 0) return null
  const isExcused = (fate: Fate) =>
    report.verdict !== 'complete' && (world.isNamed(fate) || world.isRetired(fate))
  const twice = report.verdict === 'complete' ? findConflict(world) : null
  if (twice) return `two readings under one id: ${JSON.stringify(twice)}`
  // A store can change its name, so the oldest moment of all gateways counts.
  const times = report.gateways.map(({ time }) => time ?? Number.NEGATIVE_INFINITY)
  const provenMs = Math.min(...times)
  const oldestKeptMs = oldestKeptMsIn(world)
  for (const fate of world.fates.values()) {
    const { reading, delivered, lostAtMs } = fate
    if (delivered || reading.receivedAt <= oldestKeptMs) continue
    const isClaimed = reading.receivedAt <= provenMs
    const isLongLost = lostAtMs !== null && world.nowMs - lostAtMs > SILENT_AFTER_MS
    if (!isClaimed && !isLongLost) continue
    if (!isExcused(fate) && isProvable(world, fate)) return `gone: ${JSON.stringify(fate)}`
  }
  return null
}

/**
 * A run of which the report counts fewer open numbers than are gone without a name, as a text; null
 * without one. A number that a note claimed AWAITED_MAX_MS ago must count as missing. Says nothing
 * about readings that retention or a retirement can excuse.
 */
export function findUncounted(world: World, report: LedgerReport): string | null {
  const wrong = report.gateways.find(({ state, missing }) => state === 'complete' && missing > 0)
  if (wrong) return `complete although numbers are missing: ${JSON.stringify(wrong)}`
  const oldestKeptMs = oldestKeptMsIn(world)
  const holes = report.gateways.flatMap(gateway => gateway.holes)
  const open = [...world.fates.values()].filter(
    fate =>
      !fate.delivered &&
      fate.reading.receivedAt > oldestKeptMs &&
      !world.isNamed(fate) &&
      !world.retiredMs.has(fate.store) &&
      isWithinEvidence(world, fate),
  )
  for (const [run, gone] of Map.groupBy(open, ({ reading }) => reading.epoch)) {
    const count = (fates: string[]) =>
      holes
        .filter(({ epoch, fate }) => epoch === run && fates.includes(fate))
        .reduce((sum, { from, to }) => sum + to - from + 1, 0)
    const overdue = gone.filter(fate => isOverdue(world, fate))
    const facts = JSON.stringify({ gone, holes })
    if (count(['missing', 'awaited', 'behind']) < gone.length) return `uncounted: ${facts}`
    if (count(['missing']) < overdue.length) return `on their way for ever: ${facts}`
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

/** Retention can have deleted readings that were accepted up to this moment (ms since 1970). */
const oldestKeptMsIn = ({ topics }: World): number =>
  Math.max(...[...topics.readings, ...topics.backfill].map(startOf))

type AnyLog = { begin: number; records: { appendTimeMs: number }[] }

const startOf = ({ begin, records: [first] }: AnyLog) =>
  begin === 0 ? Number.NEGATIVE_INFINITY : (first?.appendTimeMs ?? Number.POSITIVE_INFINITY)
