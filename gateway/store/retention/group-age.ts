import { lowerBound } from '../../../config/collections/lower-bound.ts'
import type { ClockState } from '../../../config/event/sensor-reading.ts'

const HOUR_MS = 3_600_000
/**
 * When there are more marks than this, every second mark is removed, so that the marks suffice for
 * a run of any length.
 */
const MARKS_MAX = 2000

/** The fields of a group that determine its age; `to` is the group's last sequence. */
export type DatedGroup = { to: number; epoch: number; receivedTo: number }

export type GroupAges = ReturnType<typeof createGroupAges>

export type GroupAgesOptions = {
  /** The epoch of this run of the gateway, and the last sequence before this run. */
  epoch: number
  lastSequence: number
  monotonicMs?: () => number
  wallMs?: () => number
}

/**
 * Determines the age of groups although the clock may jump. For groups of this run of the gateway,
 * the age is monotonic time, from marks that record the last sequence at known times. The age of a
 * group of an earlier run is wall clock time. Such a group counts as old only if the clock was
 * trusted when the group was received and is trusted now.
 */
export function createGroupAges({
  epoch,
  lastSequence,
  monotonicMs = () => performance.now(),
  wallMs = Date.now,
}: GroupAgesOptions) {
  let marks = [{ sequence: lastSequence, atMs: monotonicMs() }]
  let markEveryMs = 10_000
  let isTrusted = false
  let wallAheadMs: number | null = null

  const monotonicAgeMs = (sequence: number) => {
    const mark = marks[lowerBound(marks, known => known.sequence < sequence)]
    return mark ? monotonicMs() - mark.atMs : 0
  }
  const wallAgeMs = (atMs: number) =>
    wallAheadMs === null ? 0 : monotonicMs() + wallAheadMs - atMs

  return {
    /** To be called every few seconds with the state of the clock and the last sequence. */
    recordProgress(clock: ClockState, sequence: number): void {
      isTrusted = clock === 'SYNCED'
      // Set only once, so that a later jump of the clock makes no group of an earlier run older.
      if (isTrusted) wallAheadMs ??= wallMs() - monotonicMs()
      const last = marks.at(-1)!
      if (sequence === last.sequence || monotonicMs() - last.atMs < markEveryMs) return
      marks.push({ sequence, atMs: monotonicMs() })
      if (marks.length <= MARKS_MAX) return
      // The last mark is never removed, because it covers the newest groups.
      marks = marks.filter((_, index) => (marks.length - 1 - index) % 2 === 0)
      markEveryMs *= 2
    },
    /**
     * Whether a wall clock time (ms since 1970) is at least `hours` ago; false while the clock is
     * not trusted, unless `hours` is 0.
     */
    isOlderThan: (atMs: number, hours: number): boolean =>
      hours === 0 || (isTrusted && wallAgeMs(atMs) >= hours * HOUR_MS),
    /**
     * Counts the groups that are at least `hours` old. The groups are in order, so all groups
     * before a group that is provably old count as old. `clockOf` returns the state of the clock
     * when a group was received.
     */
    countOlder<T extends DatedGroup>(
      groups: T[],
      hours: number,
      clockOf: (group: T) => ClockState | null,
    ) {
      if (hours === 0) return groups.length
      if (!isTrusted) return 0
      const isOlder = (group: T) => {
        if (monotonicAgeMs(group.to) >= hours * HOUR_MS) return true
        const isOfThisRun = group.epoch === epoch
        const seemsOlder = !isOfThisRun && wallAgeMs(group.receivedTo) >= hours * HOUR_MS
        return seemsOlder && clockOf(group) === 'SYNCED'
      }
      return lowerBound(groups, isOlder)
    },
  }
}
