import { createMeans, createSelection, type Selection } from '../groups/downsampling.ts'
import type { createThinner } from '../groups/group-thinning.ts'
import type { LanePolicy } from '../groups/lanes.ts'
import type { PruningCandidate } from '../groups/pruning.ts'
import { isUndelivered } from '../groups/tombstones.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'

/** One step reads or rewrites at most about so much: a few milliseconds between two commits. */
const STEP_MAX_EVENTS = 500
const STEP_MAX_BYTES = 512 * 1024
const LOOK_MAX_GROUPS = 200
/**
 * What is thinned together: from so many events on, as soon as no more than a share is kept. It
 * ends without that at one of the bounds, and is thinned if that is worth it.
 */
const RUN_MIN_EVENTS = 1000
const RUN_MAX_EVENTS = 50_000
const RUN_MAX_METRICS = 20_000
const GOOD_SHARE = 1 / 4
const WORTH_SHARE = 3 / 4

type Parts = {
  pruning: { groupsFrom(sequence: number, limit: number): PruningCandidate[] }
  thinner: ReturnType<typeof createThinner>
  policyOf(lane: string): LanePolicy
  /** So many events behind what it delivered, the bridge may have read. */
  aheadEvents: number
}

type Run = { epoch: number; selection: Selection; groups: PruningCandidate[]; lookAgainAt: number }
type Work = { groups: PruningCandidate[]; kept: Set<number>; means: ReturnType<typeof createMeans> }

export type Thinning = ReturnType<typeof createThinning>

/**
 * Thins the groups of lanes that are to be thinned, from the oldest on and each once: reads, step
 * by step, as many neighbours as it takes until most of their events can go, then rewrites them.
 */
export function createThinning({ pruning, thinner, policyOf, aheadEvents }: Parts) {
  let next = 0
  let run: Run | null = null
  let work: Work | null = null

  const mayThin = (group: PruningCandidate, spans: SequenceRange[] | null) =>
    policyOf(group.lane) === 'thin' &&
    isUndelivered(spans, group.sequence, group.to) &&
    !isNearBridge(group, spans, aheadEvents)

  /** Ends the present run; what of it is worth it becomes work. */
  const finish = (kept = run?.selection.kept()) => {
    if (run && kept && kept.size <= run.selection.events * WORTH_SHARE) {
      work = { groups: run.groups, kept, means: createMeans() }
    }
    run = null
  }
  const add = (group: PruningCandidate) => {
    if (run && run.epoch !== group.epoch) finish()
    if (work) return false
    const events = thinner.eventsOf(group.sequence)
    if (events.length === 0) return true
    run ??= {
      ...{ epoch: group.epoch, groups: [], selection: createSelection() },
      lookAgainAt: RUN_MIN_EVENTS,
    }
    const { selection, groups } = run
    for (const event of events) selection.add(event)
    groups.push(group)
    return true
  }
  const finishIfFull = () => {
    if (!run) return
    const { events, metrics } = run.selection
    if (events >= RUN_MAX_EVENTS || metrics >= RUN_MAX_METRICS) return finish()
    if (events < run.lookAgainAt) return
    run.lookAgainAt = events * 1.25
    const kept = run.selection.kept()
    if (kept.size <= events * GOOD_SHARE) finish(kept)
  }
  const read = (spans: SequenceRange[] | null): boolean => {
    const page = pruning.groupsFrom(next, LOOK_MAX_GROUPS)
    let [events, bytes] = [0, 0]
    for (const group of page) {
      if (events >= STEP_MAX_EVENTS || bytes >= STEP_MAX_BYTES) break
      if (mayThin(group, spans)) {
        if (!add(group)) break
        events += group.to - group.sequence + 1 - group.removedEvents
        bytes += group.bytes
      }
      next = group.to + 1
    }
    if (!work) finishIfFull()
    return page.length > 0
  }
  const rewrite = (
    { groups, kept, means }: Work,
    spans: SequenceRange[] | null,
    reason: string,
  ) => {
    let [count, events, bytes] = [0, 0, 0]
    while (count < groups.length && events < STEP_MAX_EVENTS && bytes < STEP_MAX_BYTES) {
      const { sequence, to, bytes: own } = groups[count++]!
      events += to - sequence + 1
      bytes += own
    }
    const some = groups.slice(0, count).filter(group => mayThin(group, spans))
    const isLast = count === groups.length
    const sequences = some.map(({ sequence }) => sequence)
    thinner.thin(sequences, kept, { means, isLast, reason: `thinned: ${reason}` })
    work = isLast ? null : { groups: groups.slice(count), kept, means }
  }

  return {
    /** Makes one step; false when all that may be thinned is, as far as it is worth it. */
    step(spans: SequenceRange[] | null, reason: string): boolean {
      if (!work) return read(spans)
      rewrite(work, spans, reason)
      return true
    },
  }
}

function isNearBridge(
  group: PruningCandidate,
  spans: SequenceRange[] | null,
  aheadEvents: number,
): boolean {
  return (spans ?? []).some(
    ({ next, end }) =>
      (end === null || next <= end) && group.to >= next && group.sequence <= next + aheadEvents,
  )
}
