import { type Claim, compareByAppendTime } from './claims.ts'
import type { EpochLedger } from './epoch.ts'
import type { GatewayLedger } from './ledger.ts'

/** `complete` up to the newest proven claim; `unproven` or `silent` since that claim. */
export type CompletenessState = 'complete' | 'unproven' | 'silent'

/**
 * A gateway is complete while Kafka stored the newest proven claim at most `limitMs` ago, that
 * claim ends at most `limitMs` before the newest claim, and that claim does not end in the future.
 * Else the gateway is `unproven` when there is newer data, and `silent` when there is none. Ages
 * are measured by Kafka's append times. The gateway's clock can be decades off, so its times are
 * compared only with each other.
 */
export function completenessOf(
  { epochs, newestEventAppendTimeMs, newestHeartbeatAppendTimeMs }: GatewayLedger,
  proven: Claim | null,
  nowMs: number,
  limitMs: number,
): CompletenessState {
  const allClaims = [...epochs.values()].map(({ claims }) => claims)
  // A topic with the sender's timestamps can hold times in the future.
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

/** Whether a newer epoch of the same outbox started. A restored outbox can reuse note numbers. */
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
