import { type Claim, compareByAppendTime } from './claims.ts'
import type { EpochLedger, RunEnd } from './epoch.ts'
import type { GatewayLedger } from './ledger.ts'

/**
 * `complete` up to the newest proven claim; `unproven` or `silent` since that claim; `retired`: an
 * operator declared that nothing more comes.
 */
export type CompletenessState = 'complete' | 'unproven' | 'silent' | 'retired'

/** The claims about a run and about the runs before it, as far as they lead to this run. */
export type RunClaims = { proven: Claim | null; heads: Claim[]; open: Claim[] }

/**
 * Collects the claims that lead to a run. A run before counts only up to the note that names its
 * end: a cloned card can go on in that run and make claims that say nothing about this run.
 */
export function claimsOf(run: EpochLedger, { epochs, runs }: GatewayLedger): RunClaims {
  const proven: Claim[] = []
  const heads: Claim[] = []
  const open: Claim[] = []
  let after: number | null = null
  for (const epoch of runs.lineage(run.epoch)) {
    const known = epochs.get(epoch)
    if (known) {
      const { claims, start, ends } = known
      const end = after === null ? null : ends.get(after)
      const leadsHere = (claim: Claim) => end === null || (!!end && isKnownAt(end, claim))
      // The first note claims that nothing was stored yet in the run.
      const first = start ? [{ ...start, lastSequence: start.first - 1 }] : []
      proven.push(...[...first, ...(claims.proven ? [claims.proven] : [])].filter(leadsHere))
      heads.push(...(claims.head ? [claims.head] : []).filter(leadsHere))
      open.push(...claims.open.filter(leadsHere))
    }
    after = epoch
  }
  const firstOpen =
    open.length > 0 ? open.reduce((a, b) => (compareByAppendTime(a, b) <= 0 ? a : b)) : null
  const before = proven.filter(claim => !firstOpen || compareByAppendTime(claim, firstOpen) < 0)
  return { proven: before.reduce(later, null), heads, open }
}

/** Whether the store knew a claim when its next run began; that run's first note is `end`. */
function isKnownAt(end: RunEnd, { lastSequence, appendTimeMs, note, at }: Claim): boolean {
  if (lastSequence > end.lastSequence || appendTimeMs > end.appendTimeMs) return false
  return note < end.note || (note === end.note && at === end.at)
}

/**
 * A run is complete while Kafka stored the newest proven claim at most `limitMs` ago, the moment of
 * this claim is at most `limitMs` before the moment of the newest claim, and at most `limitMs`
 * after the append time of the claim, so not in the future. Otherwise the run is `unproven` when
 * Kafka has newer events, claims or notes of the run, and `silent` when Kafka has none. Ages are
 * measured by Kafka's append times, because the gateway's clock can be decades off.
 */
export function completenessOf(
  { times: { newestEventMs, newestNoteMs } }: EpochLedger,
  { proven, heads, open }: RunClaims,
  nowMs: number,
  limitMs: number,
): 'complete' | 'unproven' | 'silent' {
  // A topic with the sender's timestamps can contain times in the future.
  const isRecent = (appendTimeMs: number | null) =>
    appendTimeMs !== null && Math.abs(nowMs - appendTimeMs) <= limitMs
  const newest = heads.reduce(later, proven)
  if (newestNoteMs !== null && proven && newest && isRecent(proven.appendTimeMs)) {
    const isNear = newest.at - proven.at <= limitMs
    return isNear && proven.at - proven.appendTimeMs <= limitMs ? 'complete' : 'unproven'
  }
  const provenMs = proven?.appendTimeMs ?? Number.NEGATIVE_INFINITY
  if ((newestEventMs ?? provenMs) > provenMs + limitMs || open.length > 0) return 'unproven'
  return isRecent(newestNoteMs) ? 'unproven' : 'silent'
}

const later = (a: Claim | null, b: Claim) => (a && compareByAppendTime(a, b) > 0 ? a : b)
