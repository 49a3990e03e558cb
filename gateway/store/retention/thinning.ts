import { createMeans, createSelection, type Selection } from '../groups/downsampling.ts'
import type { createThinner } from '../groups/group-thinning.ts'
import type { LanePolicy } from '../groups/lanes.ts'
import type { PruningCandidate } from '../groups/pruning.ts'
import { isUndelivered } from '../groups/tombstones.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'

/** One step reads or rewrites about this much: a few milliseconds between two commits. */
const STEP_MAX_EVENTS = 500
const STEP_MAX_BYTES = 512 * 1024
const SCAN_MAX_GROUPS = 200
/**
 * A run is the events that are thinned together. From RUN_MIN_EVENTS on, a run ends as soon as the
 * kept events are at most GOOD_SHARE of it. A run that reaches a maximum ends too, and is thinned
 * if the kept events are at most WORTH_SHARE of it.
 */
const RUN_MIN_EVENTS = 1000
const RUN_MAX_EVENTS = 50_000
const RUN_MAX_METRICS = 20_000
const GOOD_SHARE = 1 / 4
const WORTH_SHARE = 3 / 4
/** A run is evaluated again when it has grown by this factor. */
const EVALUATE_GROWTH = 1.25

type Parts = {
  pruning: { groupsFrom(sequence: number, limit: number): PruningCandidate[] }
  thinner: ReturnType<typeof createThinner>
  policyOf(lane: string): LanePolicy
  /** How many events the bridge may have read ahead of what it delivered. */
  readAheadMaxEvents: number
}

type Run = {
  epoch: number
  selection: Selection
  groups: PruningCandidate[]
  /** How many events the run has when it is evaluated next. */
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
 * Reads neighbouring groups step by step until most of their events can be removed, then rewrites
 * the groups step by step.
 */
export function createThinning({ pruning, thinner, policyOf, readAheadMaxEvents }: Parts) {
  let next = 0
  let run: Run | null = null
  let rewrite: Rewrite | null = null

  const mayThin = (group: PruningCandidate, pendingRanges: SequenceRange[] | null) =>
    policyOf(group.lane) === 'thin' &&
    isUndelivered(pendingRanges, group.sequence, group.to) &&
    !mayBeReadAhead(group, pendingRanges, readAheadMaxEvents)

  /** Ends the run; a run that is worth it is rewritten by the next steps. */
  const endRun = (kept = run?.selection.kept()) => {
    if (run && kept && kept.size <= run.selection.events * WORTH_SHARE) {
      rewrite = { groups: run.groups, kept, means: createMeans() }
    }
    run = null
  }
  /** Adds a group to the run; false when the group starts another run after a rewrite. */
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
    /** Does one step; false when all groups that may be thinned are thinned, as far as worth it. */
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
