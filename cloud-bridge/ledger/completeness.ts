import { type Claim, compareByAppendTime } from './claims.ts'
import type { EpochLedger } from './epoch.ts'
import type { GatewayLedger } from './ledger.ts'

/** `complete` up to the newest proven claim; `unproven` or `silent` since that claim. */
export type CompletenessState = 'complete' | 'unproven' | 'silent'

/**
 * A gateway is complete while Kafka stored the newest proven claim at most `limitMs` ago, the
 * moment of this claim is at most `limitMs` before the moment of the newest claim, and at most
 * `limitMs` after the append time of the claim, so not in the future. Otherwise the gateway is
 * `unproven` when Kafka has newer events, claims or heartbeats of the gateway, and `silent` when
 * Kafka has none. Ages are measured by Kafka's append times, because the gateway's clock can be
 * decades off.
 */
export function completenessOf(
  { epochs, newestEventAppendTimeMs, newestHeartbeatAppendTimeMs }: GatewayLedger,
  proven: Claim | null,
  nowMs: number,
  limitMs: number,
): CompletenessState {
  const allClaims = [...epochs.values()].map(({ claims }) => claims)
  // A topic with the sender's timestamps can contain times in the future.
  const isRecent = (appendTimeMs: number | null) =>
    appendTimeMs !== null && Math.abs(nowMs - appendTimeMs) <= limitMs
  const newest = allClaims.flatMap(({ head }) => head ?? []).reduce(later, proven)
  if (proven && newest && isRecent(proven.appendTimeMs)) {
    const isNear = newest.at - proven.at <= limitMs
    return isNear && proven.at - proven.appendTimeMs <= limitMs ? 'complete' : 'unproven'
  }
  const provenMs = proven?.appendTimeMs ?? Number.NEGATIVE_INFINITY
  const hasNewerEvents = (newestEventAppendTimeMs ?? provenMs) > provenMs + limitMs
  if (hasNewerEvents || allClaims.some(({ open }) => open.length > 0)) return 'unproven'
  return isRecent(newestHeartbeatAppendTimeMs) ? 'unproven' : 'silent'
}

/**
 * Whether a newer epoch of the same outbox started. The append time decides before the note number,
 * because a restored outbox can reuse note numbers.
 */
export function hasSuccessor({ start }: EpochLedger, epochs: readonly EpochLedger[]): boolean {
  if (!start) return false
  const { store, appendTimeMs, note } = start
  return epochs.some(
    ({ start: other }) =>
      other?.store === store && (other.appendTimeMs - appendTimeMs || other.note - note) > 0,
  )
}

/** The newest proven claim that has no open claim before it. */
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
