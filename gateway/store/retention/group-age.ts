import type { ClockState } from '../../../config/event/sensor-reading.ts'

const HOUR_MS = 3_600_000
/** So many marks tell a run of any length; every other one goes when there are more. */
const MARKS_MAX = 2000

/** What tells how old a group is; `to` is its last number. */
export type DatedGroup = { to: number; epoch: number; receivedTo: number }

export type GroupAgesOptions = {
  /** This run of the writer and the last number before it. */
  epoch: number
  lastSequence: number
  monotonicMs?: () => number
  wallMs?: () => number
}

/**
 * Tells how old groups are without believing a clock that jumps. In this run age is the time that
 * passed, by marks of how far the numbers had come when. What an earlier run received is judged by
 * the clock only if that was trusted then and has been since. While the clock is not trusted
 * nothing is old.
 */
export function createGroupAges({
  epoch,
  lastSequence,
  monotonicMs = () => performance.now(),
  wallMs = Date.now,
}: GroupAgesOptions) {
  let marks = [{ sequence: lastSequence, atMs: monotonicMs() }]
  let gapMs = 10_000
  let trusted = false
  let wallAheadMs: number | null = null

  const passedMs = (sequence: number) => {
    let [low, high] = [0, marks.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (marks[middle]!.sequence >= sequence) high = middle
      else low = middle + 1
    }
    const mark = marks[low]
    return mark ? monotonicMs() - mark.atMs : 0
  }
  const sinceMs = (atMs: number) => (wallAheadMs === null ? 0 : monotonicMs() + wallAheadMs - atMs)

  return {
    /** To be called every few seconds: how far the clock is trusted and the numbers have come. */
    recordProgress(clock: ClockState, sequence: number): void {
      trusted = clock === 'SYNCED'
      // Once, so that what the clock does later in this run makes nothing older.
      if (trusted) wallAheadMs ??= wallMs() - monotonicMs()
      const last = marks.at(-1)!
      if (sequence === last.sequence || monotonicMs() - last.atMs < gapMs) return
      marks.push({ sequence, atMs: monotonicMs() })
      if (marks.length <= MARKS_MAX) return
      // The last one stays, because it is what covers the newest groups.
      marks = marks.filter((_, at) => (marks.length - 1 - at) % 2 === 0)
      gapMs *= 2
    },
    /** Whether a moment of the clock (ms since 1970) is so long ago. */
    isOlderThan: (atMs: number, hours: number): boolean =>
      hours === 0 || (trusted && sinceMs(atMs) >= hours * HOUR_MS),
    /**
     * How many of these groups, which stand in order, are at least so old: as many as stand before
     * one that provably is. `clockOf` tells how far the clock was trusted when one was received.
     */
    countOlder<T extends DatedGroup>(
      groups: T[],
      hours: number,
      clockOf: (group: T) => ClockState | null,
    ) {
      if (hours === 0) return groups.length
      if (!trusted) return 0
      const isOlder = (group: T) => {
        if (passedMs(group.to) >= hours * HOUR_MS) return true
        const isOfThisRun = group.epoch === epoch
        const seemsOlder = !isOfThisRun && sinceMs(group.receivedTo) >= hours * HOUR_MS
        return seemsOlder && clockOf(group) === 'SYNCED'
      }
      let [known, possible] = [0, groups.length]
      while (known < possible) {
        const middle = (known + possible + 1) >> 1
        if (isOlder(groups[middle - 1]!)) known = middle
        else possible = middle - 1
      }
      return known
    },
  }
}
