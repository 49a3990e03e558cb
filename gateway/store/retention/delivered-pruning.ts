import type { Config } from '../../../config/config.ts'
import type { ClockState } from '../../../config/event/sensor-reading.ts'
import type { InboxState } from '../delivery/inbox-reader.ts'
import type { Pruning, PruningCandidate } from '../groups/pruning.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import type { ReachedBound } from './bounds.ts'
import type { createGroupAges } from './group-age.ts'
import {
  countGroupsForBytes,
  countGroupsForEvents,
  createUndeliveredDrop,
  firstUndelivered,
} from './undelivered-drop.ts'

/** Delivered notes that are kept at most: enough to look back on, few enough to forget about. */
const NOTES_KEPT = 100_000

type Parts = {
  pruning: Pruning
  ages: Pick<ReturnType<typeof createGroupAges>, 'isOlderThan' | 'countOlder'>
  settings: Pick<Config['outbox'], 'keep' | 'bounds' | 'lanes' | 'whenFull'>
}

export type Deletion = ReturnType<typeof createDeletion>

/**
 * What of an outbox may go: from its front, or out of groups behind such as may not. Each call lets
 * go at most what one step may, and tells whether it found anything.
 */
export function createDeletion({ pruning, ages, settings }: Parts) {
  const { keep } = settings
  const { stored } = pruning
  const countOlder = (groups: PruningCandidate[], hours: number) =>
    ages.countOlder(groups, hours, (one: PruningCandidate): ClockState | null =>
      pruning.clockOf(one),
    )
  const deliveredNotes = (nextNote: number) =>
    pruning.oldestNotes().filter(({ sequence }) => sequence < nextNote)

  /** Bytes of what is delivered and kept. */
  const keptBytes = (spans: SequenceRange[] | null) =>
    stored.bytesBefore(firstUndelivered(spans)) - base()
  const base = () => stored.bytesBefore(0)
  const pruneSome = (groups: PruningCandidate[], count: number) => {
    const last = groups[count - 1]
    if (last) pruning.prune(last)
    return last !== undefined
  }
  const pruneNotes = (notes: { sequence: number }[], count: number) => {
    const last = notes[count - 1]
    if (last) pruning.pruneNotes(last.sequence + 1)
    return last !== undefined
  }

  return {
    keptBytes,
    /** Deletes what is delivered, not to be kept any longer and not to be sent once more. */
    pruneExpired({ pendingRanges, replayFrom, nextNote }: InboxState): boolean {
      const kept = replayFrom ?? Number.POSITIVE_INFINITY
      const groups = deliveredGroups(pruning.oldestGroups(), pendingRanges).filter(
        ({ to }) => to < kept,
      )
      const surplus = keptBytes(pendingRanges) - keep.bytes
      const count = Math.max(countGroupsForBytes(groups, surplus), countOlder(groups, keep.hours))
      if (pruneSome(groups, count)) return true
      const notes = deliveredNotes(nextNote)
      const young = notes.findIndex(({ at }) => !ages.isOlderThan(at, keep.hours))
      const tooMany = Math.min(notes.length, pruning.countNotesBefore(nextNote) - NOTES_KEPT)
      return pruneNotes(notes, Math.max(young < 0 ? notes.length : young, tooMany))
    },
    /** Deletes what is delivered, to be kept or sent once more or not, until so much is gone. */
    pruneKept(
      { pendingRanges, nextNote }: InboxState,
      { bytes, events }: Pick<ReachedBound, 'bytes' | 'events'>,
    ) {
      const groups = deliveredGroups(pruning.oldestGroups(bytes), pendingRanges)
      if (pruneSome(groups, countGroupsForEvents(groups, events))) return true
      const notes = deliveredNotes(nextNote)
      return pruneNotes(notes, notes.length)
    },
    /** Whether there is anything that is delivered and kept. */
    hasKeptEvents: (spans: SequenceRange[] | null) =>
      deliveredGroups(pruning.oldestGroups(1), spans).length > 0,
    ...createUndeliveredDrop({ pruning, countOlder, settings }),
  }
}

function deliveredGroups(
  groups: PruningCandidate[],
  spans: SequenceRange[] | null,
): PruningCandidate[] {
  const next = firstUndelivered(spans)
  return groups.filter(({ to }) => to < next)
}
