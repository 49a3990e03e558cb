import { Intervals } from '../consumers/intervals.ts'
import type { Epoch } from './epoch.ts'
import { type Hole, holesOf } from './holes.ts'
import type { GatewayLedger } from './ledger.ts'
import { EXPLAINING, type Explanation } from './notes.ts'
import { type Explained, type Fate, sizeOf } from './pieces.ts'

/** What the ledger says of a gateway. Times are ms since 1970. */
export type GatewayConclusion = {
  gateway: string
  /** `complete` up to `time`; `unproven` or `silent` since then (null: since ever). */
  state: 'complete' | 'unproven' | 'silent'
  time: number | null
  events: number
  /** Events that came once more and were not counted. */
  duplicates: number
  /** New events with a zone sequence that another one has: the numbering is broken. */
  strange: number
  missing: number
  awaited: number
  explained: number
  expired: number
  /** All that is missing, awaited or explained. */
  holes: Hole[]
  /** Notes that were lost on the edge: what they told may not be known here. */
  lostNotes: GatewayLedger['lostNotes']
}

export type ConcludeOptions = {
  nowMs: number
  /** After so long without a heartbeat that could be proven, a gateway is not complete. */
  silentAfterMs: number
  /** The newest so many sequences may still be on their way; see `bridge.batchMaxEvents`. */
  inFlightMaxEvents: number
  /** What was accepted before, Kafka may have deleted by now; default: nothing. */
  expiredBefore?: number
}

/** Says how far each gateway is complete, and names each hole; ends what can be forgotten. */
export function conclude(
  gateways: Iterable<GatewayLedger>,
  options: ConcludeOptions,
): GatewayConclusion[] {
  return [...gateways].map(known => concludeGateway(known, options))
}

function concludeGateway(known: GatewayLedger, options: ConcludeOptions): GatewayConclusion {
  const { gateway, events, duplicates, strange, lostNotes } = known
  const { inFlightMaxEvents, expiredBefore = Number.NEGATIVE_INFINITY } = options
  const { byEpoch, unplaced } = placeExplanations(known)
  const reaches = reachesOf(known)
  const all: Omit<Hole, 'gateway'>[] = [...unplaced]
  for (const epoch of known.epochs.values()) {
    const judging = { awaitedAbove: reaches.get(epoch)! - inFlightMaxEvents, expiredBefore }
    const { holes, firstOpen } = holesOf(epoch, byEpoch.get(epoch) ?? [], judging)
    for (const hole of holes) all.push(hole)
    epoch.prove(firstOpen)
  }
  const total = (...fates: Fate[]) =>
    all.reduce((sum, hole) => sum + (fates.includes(hole.fate) ? sizeOf(hole) : 0), 0)
  const [missing, awaited, expired] = [total('missing'), total('awaited'), total('expired')]
  const explained = total(...EXPLAINING)
  const time = provenUpTo([...known.epochs.values()])
  const counts = { events, duplicates, strange, missing, awaited, explained, expired }
  const holes = all.filter(({ fate }) => fate !== 'expired').map(hole => ({ gateway, ...hole }))
  const state = stateOf(known, time, missing, options)
  return { gateway, state, time, ...counts, holes, lostNotes }
}

/** Complete while the newest proven moment is recent; otherwise there is something newer or not. */
function stateOf(
  { epochs, newestEventAt, newestHeartbeatAt }: GatewayLedger,
  time: number | null,
  missing: number,
  { nowMs, silentAfterMs }: ConcludeOptions,
): GatewayConclusion['state'] {
  if (missing > 0) return 'unproven'
  if (time !== null && nowMs - time <= silentAfterMs) return 'complete'
  const hasOpenClaims = [...epochs.values()].some(({ claims }) => claims.open.length > 0)
  const provenAt = time ?? Number.NEGATIVE_INFINITY
  if (hasOpenClaims || (newestEventAt ?? provenAt) > provenAt + silentAfterMs) return 'unproven'
  const isHeard = newestHeartbeatAt !== null && nowMs - newestHeartbeatAt <= silentAfterMs
  return isHeard ? 'unproven' : 'silent'
}

/** The newest moment before which every claim was found true. */
function provenUpTo(epochs: readonly Epoch[]): number | null {
  let open = Number.POSITIVE_INFINITY
  for (const { claims } of epochs) for (const { at } of claims.open) open = Math.min(open, at)
  const proven = epochs.map(epoch => epoch.claims.proven?.at ?? Number.NaN).filter(at => at < open)
  return proven.length > 0 ? proven.reduce((a, b) => Math.max(a, b)) : null
}

/** For each epoch the highest sequence seen of it and of those after it in its outbox. */
function reachesOf({ epochs }: GatewayLedger): Map<Epoch, number> {
  const reaches = new Map<Epoch, number>()
  const furthest = new Map<string | Epoch, number>()
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
function byBeginning({ begun: a }: Epoch, { begun: b }: Epoch): number {
  if (!a || !b) return Number(a !== null) - Number(b !== null)
  return a.note - b.note || a.at - b.at
}

type Territory = { epoch: Epoch; from: number; to: number }

/** Finds the epochs whose numbers each note explains; what belongs to none is a hole by itself. */
function placeExplanations(known: GatewayLedger) {
  const byEpoch = new Map<Epoch, Explained[]>()
  const unplaced: Omit<Hole, 'gateway'>[] = []
  const place = (epoch: Epoch, explained: Explained) => {
    const all = byEpoch.get(epoch) ?? []
    byEpoch.set(epoch, all)
    all.push(explained)
  }
  for (const [store, explanations] of known.explanations) {
    const territories = territoriesOf(known, store)
    for (const explanation of explanations) {
      const { from, to, epoch } = explanation
      const own = epoch === null ? undefined : known.epochs.get(epoch)
      const placed = new Intervals()
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

const reachOf = ({ seen, claims }: Epoch) =>
  Math.max(seen.highest ?? 0, claims.head?.lastSequence ?? 0)
