import { type Claim, compareByAppendTime } from './claims.ts'
import type { EpochLedger } from './epoch.ts'
import type { GatewayLedger } from './ledger.ts'

/** `complete` up to the newest proven claim; `unproven` or `silent` since then. */
export type CompletenessState = 'complete' | 'unproven' | 'silent'

/**
 * Complete while the newest proven claim was heard a short time ago, ends near the newest one, and
 * does not end in the future; otherwise there is something newer or not. How long ago anything was
 * is told by when Kafka got it: by the gateway's clock, which may be decades off, only its own
 * claims are compared. `limitMs` is the short time.
 */
export function completenessOf(
  { epochs, eventHeardAt, heartbeatHeardAt }: GatewayLedger,
  proven: Claim | null,
  nowMs: number,
  limitMs: number,
): CompletenessState {
  const all = [...epochs.values()].map(({ claims }) => claims)
  // Where Kafka takes the sender's time, that may lie in the future, too.
  const isRecent = (heardAt: number | null) =>
    heardAt !== null && Math.abs(nowMs - heardAt) <= limitMs
  const newest = all.flatMap(({ head }) => head ?? []).reduce(later, proven)
  if (proven && newest && isRecent(proven.heardAt)) {
    const isNear = newest.at - proven.at <= limitMs
    return isNear && proven.at - proven.heardAt <= limitMs ? 'complete' : 'unproven'
  }
  const provenAt = proven?.heardAt ?? Number.NEGATIVE_INFINITY
  const hasMore = (eventHeardAt ?? provenAt) > provenAt + limitMs
  if (hasMore || all.some(({ open }) => open.length > 0)) return 'unproven'
  return isRecent(heartbeatHeardAt) ? 'unproven' : 'silent'
}

/** Whether another run of its outbox has begun since; a restored one may count notes again. */
export function hasSuccessor({ begun }: EpochLedger, epochs: readonly EpochLedger[]): boolean {
  if (!begun) return false
  const { store, heardAt, note } = begun
  return epochs.some(
    ({ begun: next }) => next?.store === store && (next.heardAt - heardAt || next.note - note) > 0,
  )
}

/** The newest claim before which every other one was found true. */
export function newestProvenClaim(epochs: readonly EpochLedger[]): Claim | null {
  const open = epochs.flatMap(({ claims }) => claims.open)
  const first =
    open.length > 0 ? open.reduce((a, b) => (compareByAppendTime(a, b) <= 0 ? a : b)) : null
  return epochs
    .flatMap(({ claims }) => claims.proven ?? [])
    .filter(claim => !first || compareByAppendTime(claim, first) < 0)
    .reduce(later, null)
}

const later = (a: Claim | null, b: Claim) => (a && compareByAppendTime(a, b) > 0 ? a : b)
