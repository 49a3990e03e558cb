import type { Config } from '../../../config/config.ts'
import type { InboxState } from '../delivery/inbox-reader.ts'
import { createLanePolicies } from '../groups/lanes.ts'
import type { Pruning, PruningCandidate } from '../groups/pruning.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import type { ReachedBound } from './bounds.ts'

/** How many groups behind such as may not go are looked at, and emptied, in one step. */
const LOOK_MAX_GROUPS = 1000
const EMPTY_MAX_GROUPS = 200

type Parts = {
  pruning: Pruning
  /** How many groups in order are so many hours old. */
  countOlder(groups: PruningCandidate[], hours: number): number
  settings: Pick<Config['outbox'], 'bounds' | 'lanes' | 'whenFull'>
}

/**
 * Lets go what is not delivered, where the policy of its lane allows it: from the front of the
 * outbox, or out of groups behind such as may not go.
 */
export function createUndeliveredDrop({ pruning, countOlder, settings }: Parts) {
  const { bounds } = settings
  const policies = createLanePolicies(settings)
  const mayGo = (group: PruningCandidate) => policies.of(group.lane) !== 'refuse'
  // All before this number is emptied, or may not go.
  let looked = 0

  return {
    /** Deletes what is not delivered and may go, with tombstones, until so much is gone. */
    dropOldest({ pendingRanges }: InboxState, reached: ReachedBound): boolean {
      const next = firstUndelivered(pendingRanges)
      const groups = pruning.oldestGroups(reached.bytes)
      const first = groups.findIndex(one => !one.isEmptied && one.to >= next && !mayGo(one))
      const free = first < 0 ? groups : groups.slice(0, first)
      const last = free[countEnough(free, reached) - 1]
      if (last) pruning.drop(last, pendingRanges, reached.reason)
      return last !== undefined || (first >= 0 && behindOthers(pendingRanges, reached))
    },
    /** Whether what waits longest has waited longer than it may. */
    isLate: (spans: SequenceRange[] | null) => late(spans) !== undefined,
    /** Whether what has waited longer than it may is to make way for what is newer. */
    canDropLate(spans: SequenceRange[] | null): boolean {
      const group = late(spans)
      return group !== undefined && mayGo(group)
    },
  }

  function countEnough(groups: PruningCandidate[], { key, events }: ReachedBound): number {
    const isLate = key === 'hours' && bounds.hours !== null
    return isLate ? countOlder(groups, bounds.hours!) : countGroupsForEvents(groups, events)
  }

  function late(spans: SequenceRange[] | null): PruningCandidate | undefined {
    if (bounds.hours === null) return undefined
    const group = pruning.firstWithEvents(firstUndelivered(spans))
    return group && countOlder([group], bounds.hours) > 0 ? group : undefined
  }

  /** Empties groups that may go behind such as may not. */
  function behindOthers(spans: SequenceRange[] | null, reached: ReachedBound): boolean {
    const page = pruning.groupsFrom(looked, LOOK_MAX_GROUPS)
    const free = page.filter(one => !one.isEmptied && mayGo(one))
    const some = free.slice(0, Math.min(EMPTY_MAX_GROUPS, countGroupsForBytes(free, reached.bytes)))
    const chosen = some.slice(0, countEnough(some, reached))
    if (chosen.length > 0) {
      pruning.emptyGroups(chosen, spans, reached.reason)
      looked = chosen.at(-1)!.to + 1
      return true
    }
    // What is not yet too old will be.
    if (free.length > 0 || page.length === 0) return false
    looked = page.at(-1)!.to + 1
    return page.length === LOOK_MAX_GROUPS
  }
}

/** The first number that is still to be delivered; 0 while nobody has said. */
export function firstUndelivered(spans: SequenceRange[] | null): number {
  const open = (spans ?? []).filter(({ next, end }) => end === null || next <= end)
  return open.length > 0 ? Math.min(...open.map(({ next }) => next)) : 0
}

/** How many groups it takes until so many bytes are gone. */
export function countGroupsForBytes(groups: PruningCandidate[], bytes: number): number {
  let [count, gone] = [0, 0]
  while (count < groups.length && gone < bytes) gone += groups[count++]!.bytes
  return count
}

/** How many groups it takes until so many events are gone. */
export function countGroupsForEvents(groups: PruningCandidate[], events: number): number {
  let [count, gone] = [0, 0]
  for (; count < groups.length && gone < events; count++) {
    const { sequence, to, removedEvents } = groups[count]!
    gone += to - sequence + 1 - removedEvents
  }
  return count
}
