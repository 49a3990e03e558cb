import { IntervalSet } from '../interval-set.ts'
import {
  type CompletenessState,
  completenessOf,
  hasSuccessor,
  newestProvenClaim,
} from './completeness.ts'
import { deferredSequences } from './deferred.ts'
import type { EpochLedger } from './epoch.ts'
import { createExpiryCheck } from './expiry.ts'
import { type ExplainedRange, type GapFate, sizeOf } from './gap-segments.ts'
import { findGaps, type ReportedGap } from './gaps.ts'
import type { GatewayLedger, LogStarts } from './ledger.ts'
import { EXPLAINING_KINDS, type Explanation } from './notes.ts'

/** What the ledger says of a gateway. Times are ms since 1970. */
export type GatewayAssessment = {
  gateway: string
  state: CompletenessState
  /** By the gateway's clock, which may be wrong; null: since ever. */
  time: number | null
  /** When Kafka got the heartbeat that was written at `time`. */
  heardAt: number | null
  events: number
  /** Events that came once more and were not counted. */
  duplicates: number
  /** New events with a zone sequence that another one has: the numbering is broken. */
  strange: number
  missing: number
  awaited: number
  /** Events that came and that no heartbeat claims yet: one lost behind them would not show. */
  unproven: number
  /** Those among them that none ever will: their run is over, and a restored outbox forgot it. */
  forgotten: number
  explained: number
  expired: number
  /** All that is missing, awaited or explained. */
  holes: ReportedGap[]
  /** Notes that were lost on the edge: what they told may not be known here. */
  lostNotes: GatewayLedger['lostNotes']
}

export type AssessmentOptions = {
  nowMs: number
  /** After so long without hearing a heartbeat that could be proven, a gateway is not complete. */
  silentAfterMs: number
  /** The newest so many sequences may still be on their way; see `bridge.batchMaxEvents`. */
  inFlightMaxEvents: number
  /** What Kafka has deleted by now; default: nothing. */
  cuts?: LogStarts
  /** The same of the topic in which backlogs are. */
  backlogCuts?: LogStarts
}

/** Says how far each gateway is complete, and names each hole; ends what can be forgotten. */
export function assessGateways(
  gateways: Iterable<GatewayLedger>,
  options: AssessmentOptions,
): GatewayAssessment[] {
  return [...gateways].map(known => concludeGateway(known, options))
}

function concludeGateway(known: GatewayLedger, options: AssessmentOptions): GatewayAssessment {
  const { gateway, events, duplicates, strange, lostNotes } = known
  const { nowMs, silentAfterMs, inFlightMaxEvents, cuts = new Map() } = options
  const isExpired = createExpiryCheck(known, cuts, options.backlogCuts)
  const { byEpoch, unplaced } = placeExplanations(known)
  const reaches = reachesOf(known)
  const all: Omit<ReportedGap, 'gateway'>[] = [...unplaced]
  for (const epoch of known.epochs.values()) {
    const behind = deferredSequences(known.behind.get(epoch.store ?? ''))
    const awaitedAbove = reaches.get(epoch)! - inFlightMaxEvents
    const judging = { awaitedAbove, behind, isExpired }
    const { holes, firstOpen } = findGaps(epoch, byEpoch.get(epoch) ?? [], judging)
    for (const hole of holes) all.push(hole)
    epoch.prove(firstOpen)
  }
  const total = (...fates: GapFate[]) =>
    all.reduce((sum, hole) => sum + (fates.includes(hole.fate) ? sizeOf(hole) : 0), 0)
  const [missing, expired] = [total('missing'), total('expired')]
  const awaited = total('awaited', 'behind')
  const explained = total(...EXPLAINING_KINDS)
  const epochs = [...known.epochs.values()]
  const behindIn = (some: EpochLedger[]) => some.reduce((sum, epoch) => sum + epoch.unproven, 0)
  const forgotten = behindIn(epochs.filter(epoch => hasSuccessor(epoch, epochs)))
  const behind = { unproven: behindIn(epochs), forgotten }
  const proven = newestProvenClaim(epochs)
  const counts = { events, duplicates, strange, missing, awaited, ...behind, explained, expired }
  const holes = all.filter(({ fate }) => fate !== 'expired').map(hole => ({ gateway, ...hole }))
  const state = missing > 0 ? 'unproven' : completenessOf(known, proven, nowMs, silentAfterMs)
  const { at: time = null, heardAt = null } = proven ?? {}
  return { gateway, state, time, heardAt, ...counts, holes, lostNotes }
}

/** For each epoch the highest sequence seen of it and of those after it in its outbox. */
function reachesOf({ epochs }: GatewayLedger): Map<EpochLedger, number> {
  const reaches = new Map<EpochLedger, number>()
  const furthest = new Map<string | EpochLedger, number>()
  for (const epoch of [...epochs.values()].sort(byBeginning).reverse()) {
    // Of one whose outbox is not known, nothing else is known either.
    const outbox = epoch.store ?? epoch
    const own = epoch.seen.highest ?? Number.NEGATIVE_INFINITY
    const reach = Math.max(furthest.get(outbox) ?? Number.NEGATIVE_INFINITY, own)
    furthest.set(outbox, reach)
    reaches.set(epoch, reach)
  }
  return reaches
}

/** In the order in which the epochs of an outbox began; those whose first note is lost before. */
function byBeginning({ begun: a }: EpochLedger, { begun: b }: EpochLedger): number {
  if (!a || !b) return Number(a !== null) - Number(b !== null)
  return a.note - b.note || a.at - b.at
}

type Territory = { epoch: EpochLedger; from: number; to: number }

/** Finds the epochs whose numbers each note explains; what belongs to none is a hole by itself. */
function placeExplanations(known: GatewayLedger) {
  const byEpoch = new Map<EpochLedger, ExplainedRange[]>()
  const unplaced: Omit<ReportedGap, 'gateway'>[] = []
  const place = (epoch: EpochLedger, explained: ExplainedRange) => {
    const all = byEpoch.get(epoch) ?? []
    byEpoch.set(epoch, all)
    all.push(explained)
  }
  for (const [store, explanations] of known.explanations) {
    const territories = territoriesOf(known, store)
    for (const explanation of explanations) {
      const { from, to, epoch } = explanation
      const own = epoch === null ? undefined : known.epochs.get(epoch)
      const placed = new IntervalSet()
      const parts = (own ? [{ epoch: own, from, to }] : territories)
        .map(at => ({ epoch: at.epoch, from: Math.max(from, at.from), to: Math.min(to, at.to) }))
        .filter(part => part.from <= part.to)
      // Zone sequences begin again with each epoch: whose these are, a note over two cannot say.
      const told = parts.length > 1 ? { ...explanation, zones: [] } : explanation
      const spans = explanation.spans ?? [{ from, to }]
      for (const { epoch, ...part } of parts) {
        for (const span of spans) {
          const one = { from: Math.max(span.from, part.from), to: Math.min(span.to, part.to) }
          if (one.from > one.to) continue
          place(epoch, { ...one, explanation: told })
          placed.addRange(one.from, one.to)
        }
      }
      const gaps = spans.flatMap(span => placed.gaps(span.from, span.to))
      for (const gap of gaps) unplaced.push(unplacedHole(explanation, gap))
    }
  }
  return { byEpoch, unplaced }
}

function unplacedHole(explanation: Explanation, { from, to }: { from: number; to: number }) {
  const { epoch, reason, kind: fate, at: timeTo } = explanation
  return { epoch, zone: null, from, to, timeFrom: null, timeTo, reason, fate }
}

/** Which sequences of an outbox belong to which epoch: from its first to where the next begins. */
function territoriesOf({ epochs }: GatewayLedger, store: string): Territory[] {
  const all = [...epochs.values()]
  const begun = all
    .filter(epoch => epoch.begun?.store === store)
    .sort(byBeginning)
    .map(epoch => ({ epoch, first: epoch.begun!.first }))
  const known = begun.map(({ epoch, first }, index) => {
    const next = begun[index + 1]?.first ?? Number.POSITIVE_INFINITY
    return { epoch, from: first, to: Math.max(next - 1, reachOf(epoch)) }
  })
  // Without its first note, an epoch has what was seen of it.
  const others = all
    .filter(epoch => !epoch.begun && (epoch.store ?? store) === store)
    .map(epoch => ({ epoch, from: epoch.seen.lowest ?? 0, to: reachOf(epoch) }))
  return [...known, ...others]
}

const reachOf = ({ seen, claims }: EpochLedger) =>
  Math.max(seen.highest ?? 0, claims.head?.lastSequence ?? 0)
