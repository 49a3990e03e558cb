import { IntervalSet } from '../interval-set.ts'
import {
  type CompletenessState,
  completenessOf,
  hasSuccessor,
  newestProvenClaim,
} from './completeness.ts'
import type { EpochLedger } from './epoch.ts'
import { createExpiryCheck } from './expiry.ts'
import { type ExplainedRange, type GapFate, sizeOf } from './gap-segments.ts'
import { findGaps, type ReportedGap } from './gaps.ts'
import type { GatewayLedger, LogStarts } from './ledger.ts'
import { deferredSequences } from './notes/deferred.ts'
import { EXPLAINING_KINDS, type Explanation } from './notes/notes.ts'

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
  /** Notes that were lost at the edge, and with them possibly an explanation. */
  lostNotes: GatewayLedger['lostNotes']
}

export type AssessmentOptions = {
  nowMs: number
  /** A gateway without a proven heartbeat for longer than this is not complete. */
  silentAfterMs: number
  /** This many of an outbox's newest sequences can be in flight; see `bridge.batchMaxEvents`. */
  inFlightMaxEvents: number
  /** The log starts of the readings topic; by default Kafka has deleted nothing. */
  logStarts?: LogStarts
  /** The log starts of the backfill topic; by default Kafka has deleted nothing. */
  backfillLogStarts?: LogStarts
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
  const { gateway, events, duplicates, strange, lostNotes } = known
  const { nowMs, silentAfterMs, inFlightMaxEvents, logStarts = new Map() } = options
  const isExpired = createExpiryCheck(known, logStarts, options.backfillLogStarts)
  const { byEpoch, unplaced } = explanationsByEpoch(known)
  const reaches = reachesOf(known)
  const gaps: Omit<ReportedGap, 'gateway'>[] = [...unplaced]
  for (const epoch of known.epochs.values()) {
    const deferred = deferredSequences(known.deferrals.get(epoch.store ?? ''))
    const awaitedAbove = reaches.get(epoch)! - inFlightMaxEvents
    const criteria = { awaitedAbove, deferred, isExpired }
    const found = findGaps(epoch, byEpoch.get(epoch) ?? [], criteria)
    for (const gap of found.gaps) gaps.push(gap)
    epoch.prove(found.firstOpen)
  }
  const total = (...fates: GapFate[]) =>
    gaps.reduce((sum, gap) => sum + (fates.includes(gap.fate) ? sizeOf(gap) : 0), 0)
  const epochs = [...known.epochs.values()]
  const unprovenIn = (some: EpochLedger[]) => some.reduce((sum, epoch) => sum + epoch.unproven, 0)
  const proven = newestProvenClaim(epochs)
  const missing = total('missing')
  const state = missing > 0 ? 'unproven' : completenessOf(known, proven, nowMs, silentAfterMs)
  return {
    gateway,
    state,
    time: proven?.at ?? null,
    heardAt: proven?.appendTimeMs ?? null,
    ...{ events, duplicates, strange, missing, awaited: total('awaited', 'behind') },
    unproven: unprovenIn(epochs),
    forgotten: unprovenIn(epochs.filter(epoch => hasSuccessor(epoch, epochs))),
    explained: total(...EXPLAINING_KINDS),
    expired: total('expired'),
    holes: gaps.filter(({ fate }) => fate !== 'expired').map(gap => ({ gateway, ...gap })),
    lostNotes,
  }
}

/**
 * For each epoch: the highest sequence seen in that epoch and in the later epochs of the same
 * outbox.
 */
function reachesOf({ epochs }: GatewayLedger): Map<EpochLedger, number> {
  const reaches = new Map<EpochLedger, number>()
  const highestByOutbox = new Map<string | EpochLedger, number>()
  for (const epoch of [...epochs.values()].sort(byStart).reverse()) {
    // While an epoch's outbox is unknown, its later epochs are unknown as well.
    const outbox = epoch.store ?? epoch
    const own = epoch.seen.highest ?? Number.NEGATIVE_INFINITY
    const reach = Math.max(highestByOutbox.get(outbox) ?? Number.NEGATIVE_INFINITY, own)
    highestByOutbox.set(outbox, reach)
    reaches.set(epoch, reach)
  }
  return reaches
}

/** Orders an outbox's epochs by their start; epochs whose first note is lost come first. */
function byStart({ start: a }: EpochLedger, { start: b }: EpochLedger): number {
  if (!a || !b) return Number(a !== null) - Number(b !== null)
  return a.note - b.note || a.at - b.at
}

type EpochRange = { epoch: EpochLedger; from: number; to: number }

/**
 * Assigns the numbers that each note explains to their epochs; numbers of no known epoch are
 * returned as `unplaced` gaps.
 */
function explanationsByEpoch(known: GatewayLedger) {
  const byEpoch = new Map<EpochLedger, ExplainedRange[]>()
  const unplaced: Omit<ReportedGap, 'gateway'>[] = []
  const place = (epoch: EpochLedger, range: ExplainedRange) => {
    const ranges = byEpoch.get(epoch) ?? []
    byEpoch.set(epoch, ranges)
    ranges.push(range)
  }
  for (const [store, explanations] of known.explanations) {
    const epochRanges = epochRangesOf(known, store)
    for (const explanation of explanations) {
      const { from, to, epoch } = explanation
      const own = epoch === null ? undefined : known.epochs.get(epoch)
      const placed = new IntervalSet()
      const parts = (own ? [{ epoch: own, from, to }] : epochRanges)
        .map(at => ({ epoch: at.epoch, from: Math.max(from, at.from), to: Math.min(to, at.to) }))
        .filter(part => part.from <= part.to)
      // Zone sequences restart with each epoch. A note over two epochs does not say to which epoch
      // they belong.
      const applied = parts.length > 1 ? { ...explanation, zones: [] } : explanation
      const spans = explanation.spans ?? [{ from, to }]
      for (const { epoch, ...part } of parts) {
        for (const span of spans) {
          const range = { from: Math.max(span.from, part.from), to: Math.min(span.to, part.to) }
          if (range.from > range.to) continue
          place(epoch, { ...range, explanation: applied })
          placed.addRange(range.from, range.to)
        }
      }
      const gaps = spans.flatMap(span => placed.gaps(span.from, span.to))
      for (const gap of gaps) unplaced.push(unplacedGap(explanation, gap))
    }
  }
  return { byEpoch, unplaced }
}

function unplacedGap(explanation: Explanation, { from, to }: { from: number; to: number }) {
  const { epoch, reason, kind: fate, at: timeTo } = explanation
  return { epoch, zone: null, from, to, timeFrom: null, timeTo, reason, fate }
}

/**
 * The sequences of each epoch of an outbox: from the epoch's first sequence to the sequence before
 * the next epoch.
 */
function epochRangesOf({ epochs }: GatewayLedger, store: string): EpochRange[] {
  const all = [...epochs.values()]
  const started = all
    .filter(epoch => epoch.start?.store === store)
    .sort(byStart)
    .map(epoch => ({ epoch, first: epoch.start!.first }))
  const known = started.map(({ epoch, first }, index) => {
    const next = started[index + 1]?.first ?? Number.POSITIVE_INFINITY
    return { epoch, from: first, to: Math.max(next - 1, reachOf(epoch)) }
  })
  // For an epoch whose first note is lost, only the sequences from the lowest one seen are certain.
  const others = all
    .filter(epoch => !epoch.start && (epoch.store ?? store) === store)
    .map(epoch => ({ epoch, from: epoch.seen.lowest ?? 0, to: reachOf(epoch) }))
  return [...known, ...others]
}

const reachOf = ({ seen, claims }: EpochLedger) =>
  Math.max(seen.highest ?? 0, claims.head?.lastSequence ?? 0)
