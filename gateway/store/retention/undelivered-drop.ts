import type { Config } from '../../../config/config.ts'
import type { InboxState } from '../delivery/inbox-reader.ts'
import { createLanePolicies } from '../groups/lanes.ts'
import type { Pruning, PruningCandidate } from '../groups/pruning.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import type { ReachedBound } from './bounds.ts'

/**
 * How many groups one step reads, and how many it empties, among the groups after a group that may
 * not be dropped.
 */
const SCAN_MAX_GROUPS = 1000
const EMPTY_MAX_GROUPS = 200

type Parts = {
  pruning: Pruning
  /** Counts the groups, which are in order, that are at least `hours` old. */
  countOlder(groups: PruningCandidate[], hours: number): number
  settings: Pick<Config['outbox'], 'bounds' | 'lanes' | 'whenFull'>
}

/**
 * Drops undelivered events where the policy of their lane allows it: deletes the oldest groups
 * completely, and empties groups that come after a group that may not be dropped.
 */
export function createUndeliveredDrop({ pruning, countOlder, settings }: Parts) {
  const { bounds } = settings
  const policies = createLanePolicies(settings)
  const mayDrop = (group: PruningCandidate) => policies.of(group.lane) !== 'refuse'
  // Every group before this sequence is emptied already or may not be dropped.
  let scannedTo = 0

  return {
    /**
     * Drops the oldest groups that may be dropped, with tombstones, until usage is below the bound
     * or the step's limit is reached. Returns false when nothing more can be dropped now.
     */
    dropOldest({ pendingRanges }: InboxState, reached: ReachedBound): boolean {
      const next = firstUndelivered(pendingRanges)
      const groups = pruning.oldestGroups(reached.bytes)
      const firstRefused = groups.findIndex(
        group => !group.isEmptied && group.to >= next && !mayDrop(group),
      )
      const droppable = firstRefused < 0 ? groups : groups.slice(0, firstRefused)
      const last = droppable[countEnough(droppable, reached) - 1]
      if (last) pruning.drop(last, pendingRanges, reached.reason)
      return last !== undefined || (firstRefused >= 0 && emptyLater(pendingRanges, reached))
    },
    /** Whether the oldest undelivered event is older than `bounds.hours`. */
    isLate: (pendingRanges: SequenceRange[] | null) => findLate(pendingRanges) !== undefined,
    /** Whether the oldest undelivered event is older than `bounds.hours` and may be dropped. */
    canDropLate(pendingRanges: SequenceRange[] | null): boolean {
      const group = findLate(pendingRanges)
      return group !== undefined && mayDrop(group)
    },
  }

  function countEnough(groups: PruningCandidate[], { key, events }: ReachedBound): number {
    const isLate = key === 'hours' && bounds.hours !== null
    return isLate ? countOlder(groups, bounds.hours!) : countGroupsForEvents(groups, events)
  }

  function findLate(pendingRanges: SequenceRange[] | null): PruningCandidate | undefined {
    if (bounds.hours === null) return undefined
    const group = pruning.firstWithEvents(firstUndelivered(pendingRanges))
    return group && countOlder([group], bounds.hours) > 0 ? group : undefined
  }

  /**
   * Empties droppable groups that come after groups that may not be dropped. Returns false when no
   * such group can be emptied now.
   */
  function emptyLater(pendingRanges: SequenceRange[] | null, reached: ReachedBound): boolean {
    const page = pruning.groupsFrom(scannedTo, SCAN_MAX_GROUPS)
    const droppable = page.filter(group => !group.isEmptied && mayDrop(group))
    const maxCount = Math.min(EMPTY_MAX_GROUPS, countGroupsForBytes(droppable, reached.bytes))
    const candidates = droppable.slice(0, maxCount)
    const doomed = candidates.slice(0, countEnough(candidates, reached))
    if (doomed.length > 0) {
      pruning.emptyGroups(doomed, pendingRanges, reached.reason)
      scannedTo = doomed.at(-1)!.to + 1
      return true
    }
    // `scannedTo` stays before droppable groups that are not old enough yet, so that a later step
    // finds them again.
    if (droppable.length > 0 || page.length === 0) return false
    scannedTo = page.at(-1)!.to + 1
    return page.length === SCAN_MAX_GROUPS
  }
}

/** The first undelivered sequence; 0 while the pending ranges are unknown or all done. */
export function firstUndelivered(pendingRanges: SequenceRange[] | null): number {
  const pending = (pendingRanges ?? []).filter(({ next, end }) => end === null || next <= end)
  return pending.length > 0 ? Math.min(...pending.map(({ next }) => next)) : 0
}

/** Returns how many groups must be deleted, from the first on, until `bytes` are deleted. */
export function countGroupsForBytes(groups: PruningCandidate[], bytes: number): number {
  let [count, deleted] = [0, 0]
  while (count < groups.length && deleted < bytes) deleted += groups[count++]!.bytes
  return count
}

/**
 * Returns how many groups must be deleted, from the first on, until `events` events are deleted.
 */
export function countGroupsForEvents(groups: PruningCandidate[], events: number): number {
  let [count, deleted] = [0, 0]
  for (; count < groups.length && deleted < events; count++) {
    const { sequence, to, removedEvents } = groups[count]!
    deleted += to - sequence + 1 - removedEvents
  }
  return count
}
