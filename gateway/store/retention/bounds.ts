import type { Config } from '../../../config/config.ts'

type Bounds = Config['outbox']['bounds']

/** What is held against the bounds. `freeBytes` is what commits can still take of the disk. */
export type OutboxUsage = {
  usedBytes: number
  events: number
  freeBytes: number
  /** Whether what waits longest has waited longer than it may. */
  isLate: boolean
}

/** A bound that is reached, and how much must go until it is not. */
export type ReachedBound = { key: keyof Bounds; reason: string; bytes: number; events: number }

/** A bound that is reached holds until this share of it is undercut: no flapping at the edge. */
const COME_BACK_SHARE = 0.95
/** What goes, goes a little below the bound, so that not each commit makes another step. */
const SPARE_SHARE = 0.01

/**
 * The first bound that is reached, or null. When one `was` reached at the last look, it must be
 * undercut clearly.
 */
export function findReachedBound(
  usage: OutboxUsage,
  bounds: Bounds,
  was: boolean,
): ReachedBound | null {
  const share = was ? COME_BACK_SHARE : 1
  const reached = (key: keyof Bounds, go: { bytes?: number; events?: number }): ReachedBound => {
    const reason = `outbox.bounds.${key} = ${bounds[key]} is reached`
    return { key, reason, bytes: Number.POSITIVE_INFINITY, events: Number.POSITIVE_INFINITY, ...go }
  }
  const { usedBytes, events, freeBytes, isLate } = usage
  const aim = (bound: number) => bound * (share - SPARE_SHARE)
  if (usedBytes >= bounds.bytes * share) {
    return reached('bytes', { bytes: usedBytes - aim(bounds.bytes) })
  }
  if (bounds.events !== null && events >= bounds.events * share) {
    return reached('events', { events: events - aim(bounds.events) })
  }
  if (freeBytes < bounds.freeDiskBytes / share) {
    return reached('freeDiskBytes', { bytes: bounds.freeDiskBytes / share - freeBytes })
  }
  return isLate ? reached('hours', {}) : null
}
