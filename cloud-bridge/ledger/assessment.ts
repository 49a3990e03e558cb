import type { CompletenessState } from './completeness.ts'
import type { Conflict } from './duplicates.ts'
import { type EpochLedger, unprovenIn } from './epoch.ts'
import { createExpiryCheck } from './expiry.ts'
import { type GapFate, sizeOf } from './gap-segments.ts'
import { findGaps, type ReportedGap } from './gaps.ts'
import type { GatewayLedger, LogStarts } from './ledger.ts'
import { deferredSequences, deliveredBacklogs } from './notes/deferred.ts'
import { findLostNotes, type LostRange } from './notes/lost-notes.ts'
import { EXPLAINING_KINDS } from './notes/notes.ts'
import { explanationsByEpoch } from './notes/placement.ts'
import { findProblems, type Problem } from './runs/problems.ts'
import { type RetiredGap, type RetiredHole, retiredHolesOf } from './runs/retired-holes.ts'
import { describeStores, type StoreAssessment } from './runs/stores.ts'
import { findTips, provenByAll, stateOf } from './runs/tips.ts'

/** A number that a claim names is missing when it has not arrived after this time. */
export const AWAITED_MAX_MS = 300_000

/** The ledger's judgement on one gateway, as `--json` prints it. Times are ms since 1970. */
export type GatewayAssessment = {
  gateway: string
  state: CompletenessState
  /**
   * The moment of the newest proven claim (see claims.ts), by the gateway's clock; null: nothing is
   * proven.
   */
  time: number | null
  /** The append time of the heartbeat that was written at `time`. */
  heardAt: number | null
  events: number
  /** Events that arrived once more; they are not counted in `events`. */
  duplicates: number
  /** Duplicates whose time, zone or zone sequence differs from that of the original event. */
  conflicting: number
  /** The first conflicting duplicates. */
  conflicts: Conflict[]
  /** New events with the zone sequence of another event: the numbering is broken. */
  strange: number
  missing: number
  awaited: number
  /**
   * Events with sequences above the highest claim: the loss of an event after them would not be
   * noticed.
   */
  unproven: number
  /**
   * The part of `unproven` that no claim will ever cover, because a restored outbox does not know
   * the epoch.
   */
  forgotten: number
  explained: number
  expired: number
  /** Every missing, awaited or explained number. */
  holes: ReportedGap[]
  /** Notes that are not in Kafka; a dead letter or an explanation can be among them. */
  lostNotes: LostRange[]
  /** The stores that Kafka has heard of under this gateway's name. */
  stores: StoreAssessment[]
  /** What keeps the gateway from being proven, and warnings. */
  problems: Problem[]
  /** What retired stores left open. */
  retired: RetiredHole[]
}

export type AssessmentOptions = {
  nowMs: number
  /** A gateway without a proven heartbeat for longer than this is not complete. */
  silentAfterMs: number
  /** This many of an outbox's newest sequences can be in flight; see `bridge.batchMaxEvents`. */
  inFlightMaxEvents: number
  /**
   * A number that a claim names is missing when Kafka stored the claim longer ago than this; by
   * default AWAITED_MAX_MS.
   */
  awaitedMaxMs?: number | undefined
  /** The log starts of the readings topic; by default Kafka has deleted nothing. */
  logStarts?: LogStarts
  /**
   * The log starts of the backfill topic. By default the ledger does not read such a topic, and
   * Kafka has deleted nothing.
   */
  backfillLogStarts?: LogStarts | undefined
  /** The log starts of the ledger topic; by default Kafka has deleted nothing. */
  noteLogStarts?: LogStarts
  /** The log starts of the dead-letter topic; by default Kafka has deleted nothing. */
  deadLetterLogStarts?: LogStarts
}

/**
 * Determines up to when each gateway is complete, and lists its gaps. Marks the claims below the
 * first open sequence as proven; zones of closed epochs that are complete are then removed from
 * memory.
 */
export function assessGateways(
  gateways: Iterable<GatewayLedger>,
  options: AssessmentOptions,
): GatewayAssessment[] {
  return [...gateways].map(known => assessGateway(known, options))
}

function assessGateway(known: GatewayLedger, options: AssessmentOptions): GatewayAssessment {
  const { gateway, events, duplicates, strange, conflicting, conflicts } = known
  const { gaps, retiredGaps } = gapsOf(known, options)
  const { lostNotes, retiredNotes } = findLostNotes(known, options)
  const total = (...fates: GapFate[]) =>
    gaps.reduce((sum, gap) => sum + (fates.includes(gap.fate) ? sizeOf(gap) : 0), 0)
  const epochs = [...known.epochs.values()]
  const unprovenOf = (some: EpochLedger[]) =>
    some.reduce((sum, epoch) => sum + unprovenIn(epoch), 0)
  const tips = findTips(known, options.nowMs, options.silentAfterMs)
  const problems = findProblems(known, tips, options)
  const proven = provenByAll(tips)
  const missing = total('missing')
  const isProven = missing === 0 && problems.every(({ isWarning }) => isWarning)
  return {
    gateway,
    state: isProven ? stateOf(tips) : 'unproven',
    time: proven?.at ?? null,
    heardAt: proven?.appendTimeMs ?? null,
    ...{ events, duplicates, strange, missing, awaited: total('awaited', 'behind') },
    ...{ conflicting, conflicts },
    unproven: unprovenOf(epochs),
    forgotten: unprovenOf(epochs.filter(epoch => hasSuccessor(epoch, epochs))),
    explained: total(...EXPLAINING_KINDS),
    expired: total('expired'),
    holes: gaps.filter(({ fate }) => fate !== 'expired').map(gap => ({ gateway, ...gap })),
    lostNotes,
    stores: describeStores(known, tips),
    problems,
    retired: retiredHolesOf(known, tips, retiredGaps, retiredNotes, options),
  }
}

/** The gaps of all epochs; those that an operator settled are apart. */
function gapsOf(known: GatewayLedger, options: AssessmentOptions) {
  const { nowMs, inFlightMaxEvents, logStarts = new Map() } = options
  const { awaitedMaxMs = AWAITED_MAX_MS } = options
  const isExpired = createExpiryCheck(known, logStarts, options.backfillLogStarts)
  const { byEpoch, unplaced } = explanationsByEpoch(known)
  const reaches = reachesOf(known)
  const overdueBeforeMs = nowMs - awaitedMaxMs
  const gaps: Omit<ReportedGap, 'gateway'>[] = [...unplaced]
  const retiredGaps: RetiredGap[] = []
  for (const epoch of known.epochs.values()) {
    const isOf = (run: number) => known.runs.lineage(run).includes(epoch.epoch)
    const deferrals = known.deferrals.get(epoch.store ?? '')
    const deferred = deferredSequences(deferrals, isOf)
    // Without a backfill topic, backlogs went to the readings topic.
    const backlogs = options.backfillLogStarts ? deliveredBacklogs(deferrals, isOf) : []
    const inFlightAbove = reaches.get(epoch.epoch)! - inFlightMaxEvents
    const awaitedAbove = Math.max(inFlightAbove, overdueUpTo(epoch, overdueBeforeMs))
    const retiredUpTo = known.retirements.reachOf(epoch)
    const criteria = { awaitedAbove, overdueBeforeMs, retiredUpTo, deferred, backlogs, isExpired }
    const found = findGaps(epoch, byEpoch.get(epoch) ?? [], criteria)
    for (const gap of found.gaps) {
      if (gap.fate === 'retired') retiredGaps.push({ ...gap, run: epoch })
      else gaps.push(gap)
    }
    epoch.prove(found.firstOpen)
  }
  return { gaps, retiredGaps }
}

/** Whether Kafka stored the first note of another epoch of the same outbox later. */
function hasSuccessor({ start }: EpochLedger, epochs: readonly EpochLedger[]): boolean {
  if (!start) return false
  const { store, appendTimeMs, note } = start
  return epochs.some(
    ({ start: other }) =>
      other?.store === store && (other.appendTimeMs - appendTimeMs || other.note - note) > 0,
  )
}

/**
 * For each epoch: the highest sequence seen in that epoch and in the epochs that descend from it.
 */
function reachesOf({ epochs, runs }: GatewayLedger): Map<number, number> {
  const reaches = new Map<number, number>()
  for (const { epoch, seen } of epochs.values()) {
    const own = seen.highest ?? Number.NEGATIVE_INFINITY
    for (const at of runs.lineage(epoch)) {
      reaches.set(at, Math.max(reaches.get(at) ?? Number.NEGATIVE_INFINITY, own))
    }
  }
  return reaches
}

/** The highest sequence that a claim names which Kafka stored before a moment (ms since 1970). */
function overdueUpTo({ claims: { head, proven, open } }: EpochLedger, beforeMs: number): number {
  const claims = [head, proven, ...open].flatMap(claim => claim ?? [])
  const overdue = claims.filter(({ appendTimeMs }) => appendTimeMs < beforeMs)
  return overdue.reduce((last, claim) => Math.max(last, claim.lastSequence), 0)
}
