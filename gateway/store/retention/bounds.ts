import type { Config } from '../../../config/config.ts'

type Bounds = Config['outbox']['bounds']

/** The use of the outbox that is compared with the bounds. */
export type OutboxUsage = {
  usedBytes: number
  events: number
  /** Disk space that commits can still use. */
  freeBytes: number
  /** Whether the oldest undelivered event is older than `bounds.hours`. */
  isLate: boolean
}

/** A bound that is reached, and how much to delete until it is no longer reached. */
export type ReachedBound = { key: keyof Bounds; reason: string; bytes: number; events: number }

/**
 * A bound that was reached counts as reached until usage falls to this share of it, so that the
 * outbox does not alternate between refusing and accepting.
 */
const RELEASE_SHARE = 0.95
/** How many bytes must be free before a reached `freeDiskBytes` is no longer reached. */
export const releasedAtFreeBytes = ({ freeDiskBytes }: Pick<Bounds, 'freeDiskBytes'>): number =>
  Math.ceil(freeDiskBytes / RELEASE_SHARE)

/** Deletion goes this far below the bound, so that not every commit needs another step. */
const SPARE_SHARE = 0.01

/**
 * Returns the first bound that is reached, or null. If a bound was reached at the last check
 * (`wasReached`), usage must fall to RELEASE_SHARE of a bound before the bound no longer counts as
 * reached.
 */
export function findReachedBound(
  usage: OutboxUsage,
  bounds: Bounds,
  wasReached: boolean,
): ReachedBound | null {
  const share = wasReached ? RELEASE_SHARE : 1
  const reached = (
    key: keyof Bounds,
    excess: { bytes?: number; events?: number },
  ): ReachedBound => {
    const reason = `outbox.bounds.${key} = ${bounds[key]} is reached`
    const all = { bytes: Number.POSITIVE_INFINITY, events: Number.POSITIVE_INFINITY }
    return { key, reason, ...all, ...excess }
  }
  const { usedBytes, events, freeBytes, isLate } = usage
  const target = (bound: number) => bound * (share - SPARE_SHARE)
  if (usedBytes >= bounds.bytes * share) {
    return reached('bytes', { bytes: usedBytes - target(bounds.bytes) })
  }
  if (bounds.events !== null && events >= bounds.events * share) {
    return reached('events', { events: events - target(bounds.events) })
  }
  if (freeBytes < bounds.freeDiskBytes / share) {
    return reached('freeDiskBytes', { bytes: bounds.freeDiskBytes / share - freeBytes })
  }
  return isLate ? reached('hours', {}) : null
}
