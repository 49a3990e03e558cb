import { createMeans, createSelection, type Selection } from '../groups/downsampling.ts'
import type { createThinner } from '../groups/group-thinning.ts'
import type { LanePolicy } from '../groups/lanes.ts'
import type { PruningCandidate } from '../groups/pruning.ts'
import { isUndelivered } from '../groups/tombstones.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'

/**
 * One step reads or rewrites about this much, which takes a few milliseconds between two commits.
 */
const STEP_MAX_EVENTS = 500
const STEP_MAX_BYTES = 512 * 1024
const SCAN_MAX_GROUPS = 200
/**
 * A run contains the events that are thinned together. Once a run has RUN_MIN_EVENTS, it ends as
 * soon as the kept events are at most GOOD_SHARE of its events. A run also ends when it reaches a
 * maximum; it is then thinned only if the kept events are at most WORTH_SHARE of its events.
 */
const RUN_MIN_EVENTS = 1000
const RUN_MAX_EVENTS = 50_000
const RUN_MAX_METRICS = 20_000
const GOOD_SHARE = 1 / 4
const WORTH_SHARE = 3 / 4
/** The kept events of a run are counted again when the run has grown by this factor. */
const EVALUATE_GROWTH = 1.25

type Parts = {
  pruning: { groupsFrom(sequence: number, limit: number): PruningCandidate[] }
  thinner: ReturnType<typeof createThinner>
  policyOf(lane: string): LanePolicy
  /** How many undelivered events the bridge may have read already. */
  readAheadMaxEvents: number
}

type Run = {
  epoch: number
  selection: Selection
  groups: PruningCandidate[]
  /** The number of events at which the kept events are counted next. */
  evaluateAt: number
}
type Rewrite = {
  groups: PruningCandidate[]
  kept: Set<number>
  means: ReturnType<typeof createMeans>
}

export type Thinning = ReturnType<typeof createThinning>

/**
 * Thins the groups of lanes with the policy `thin`, from the oldest group on, each group once.
 * Reads consecutive groups step by step until most of their events can be removed, then rewrites
 * these groups step by step.
 */
export function createThinning({ pruning, thinner, policyOf, readAheadMaxEvents }: Parts) {
  let next = 0
  let run: Run | null = null
  let rewrite: Rewrite | null = null

  const mayThin = (group: PruningCandidate, pendingRanges: SequenceRange[] | null) =>
    policyOf(group.lane) === 'thin' &&
    isUndelivered(pendingRanges, group.sequence, group.to) &&
    !mayBeReadAhead(group, pendingRanges, readAheadMaxEvents)

  /** Ends the run. When enough of its events can be removed, the next steps rewrite its groups. */
  const endRun = (kept = run?.selection.kept()) => {
    if (run && kept && kept.size <= run.selection.events * WORTH_SHARE) {
      rewrite = { groups: run.groups, kept, means: createMeans() }
    }
    run = null
  }
  /**
   * Adds a group to the run. Returns false when the run ended and must be rewritten first; the
   * group then starts the next run.
   */
  const addToRun = (group: PruningCandidate) => {
    if (run && run.epoch !== group.epoch) endRun()
    if (rewrite) return false
    const events = thinner.eventsOf(group.sequence)
    if (events.length === 0) return true
    run ??= {
      ...{ epoch: group.epoch, groups: [], selection: createSelection() },
      evaluateAt: RUN_MIN_EVENTS,
    }
    const { selection, groups } = run
    for (const event of events) selection.add(event)
    groups.push(group)
    return true
  }
  const endFullRun = () => {
    if (!run) return
    const { events, metrics } = run.selection
    if (events >= RUN_MAX_EVENTS || metrics >= RUN_MAX_METRICS) return endRun()
    if (events < run.evaluateAt) return
    run.evaluateAt = events * EVALUATE_GROWTH
    const kept = run.selection.kept()
    if (kept.size <= events * GOOD_SHARE) endRun(kept)
  }
  const readStep = (pendingRanges: SequenceRange[] | null): boolean => {
    const page = pruning.groupsFrom(next, SCAN_MAX_GROUPS)
    let [events, bytes] = [0, 0]
    for (const group of page) {
      if (events >= STEP_MAX_EVENTS || bytes >= STEP_MAX_BYTES) break
      if (mayThin(group, pendingRanges)) {
        if (!addToRun(group)) break
        events += group.to - group.sequence + 1 - group.removedEvents
        bytes += group.bytes
      }
      next = group.to + 1
    }
    if (!rewrite) endFullRun()
    return page.length > 0
  }
  const rewriteStep = (
    { groups, kept, means }: Rewrite,
    pendingRanges: SequenceRange[] | null,
    reason: string,
  ) => {
    let [count, events, bytes] = [0, 0, 0]
    while (count < groups.length && events < STEP_MAX_EVENTS && bytes < STEP_MAX_BYTES) {
      const { sequence, to, bytes: groupBytes } = groups[count++]!
      events += to - sequence + 1
      bytes += groupBytes
    }
    const thinnable = groups.slice(0, count).filter(group => mayThin(group, pendingRanges))
    const isLast = count === groups.length
    const sequences = thinnable.map(({ sequence }) => sequence)
    thinner.thin(sequences, kept, { means, isLast, reason: `thinned: ${reason}` })
    rewrite = isLast ? null : { groups: groups.slice(count), kept, means }
  }

  return {
    /**
     * Does one step; returns false when no group is left that may be thinned and was not read yet.
     */
    step(pendingRanges: SequenceRange[] | null, reason: string): boolean {
      if (!rewrite) return readStep(pendingRanges)
      rewriteStep(rewrite, pendingRanges, reason)
      return true
    },
  }
}

function mayBeReadAhead(
  group: PruningCandidate,
  pendingRanges: SequenceRange[] | null,
  readAheadMaxEvents: number,
): boolean {
  return (pendingRanges ?? []).some(({ next, end }) => {
    const isPending = end === null || next <= end
    return isPending && group.to >= next && group.sequence <= next + readAheadMaxEvents
  })
}
