import type { Config } from '../../../config/config.ts'
import type { ClockState } from '../../../config/event/sensor-reading.ts'
import type { InboxState } from '../delivery/inbox-reader.ts'
import type { Pruning, PruningCandidate } from '../groups/pruning.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import type { ReachedBound } from './bounds.ts'
import type { GroupAges } from './group-age.ts'
import {
  countGroupsForBytes,
  countGroupsForEvents,
  createUndeliveredDrop,
  firstUndelivered,
} from './undelivered-drop.ts'

/**
 * How many delivered notes are kept at most. The number is limited because each note, though small,
 * needs a row of its own.
 */
const NOTES_KEPT = 100_000

type Parts = {
  pruning: Pruning
  ages: Pick<GroupAges, 'isOlderThan' | 'countOlder'>
  settings: Pick<Config['outbox'], 'keep' | 'bounds' | 'lanes' | 'whenFull'>
}

export type Deletion = ReturnType<typeof createDeletion>

/**
 * Deletes the oldest events and notes of an outbox. Undelivered events are deleted only if the
 * policy of their lane allows it. Each call deletes at most as much as one step may, and returns
 * whether it deleted anything.
 */
export function createDeletion({ pruning, ages, settings }: Parts) {
  const { keep } = settings
  const { stored } = pruning
  const countOlder = (groups: PruningCandidate[], hours: number) =>
    ages.countOlder(groups, hours, (group: PruningCandidate): ClockState | null =>
      pruning.clockOf(group),
    )
  const deliveredNotes = (nextNote: number) =>
    pruning.oldestNotes().filter(({ sequence }) => sequence < nextNote)

  const keptBytes = (pendingRanges: SequenceRange[] | null) =>
    stored.bytesBefore(firstUndelivered(pendingRanges)) - stored.bytesBefore(0)
  const pruneGroups = (groups: PruningCandidate[], count: number) => {
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
    /** The bytes of kept events: delivered events that are still stored. */
    keptBytes,
    /** Prunes delivered events and notes that exceed `outbox.keep`, except events of a replay. */
    pruneExpired({ pendingRanges, replayFrom, nextNote }: InboxState): boolean {
      const replayNext = replayFrom ?? Number.POSITIVE_INFINITY
      const groups = deliveredGroups(pruning.oldestGroups(), pendingRanges).filter(
        ({ to }) => to < replayNext,
      )
      const excessBytes = keptBytes(pendingRanges) - keep.bytes
      const tooLarge = countGroupsForBytes(groups, excessBytes)
      if (pruneGroups(groups, Math.max(tooLarge, countOlder(groups, keep.hours)))) return true
      const notes = deliveredNotes(nextNote)
      const firstYoung = notes.findIndex(({ at }) => !ages.isOlderThan(at, keep.hours))
      const tooOld = firstYoung < 0 ? notes.length : firstYoung
      const tooMany = Math.min(notes.length, pruning.countNotesBefore(nextNote) - NOTES_KEPT)
      return pruneNotes(notes, Math.max(tooOld, tooMany))
    },
    /**
     * Prunes delivered events although `outbox.keep` or a replay would keep them, until `bytes` and
     * `events` are deleted. When there are no such events, prunes delivered notes.
     */
    pruneKept(
      { pendingRanges, nextNote }: InboxState,
      { bytes, events }: Pick<ReachedBound, 'bytes' | 'events'>,
    ) {
      const groups = deliveredGroups(pruning.oldestGroups(bytes), pendingRanges)
      if (pruneGroups(groups, countGroupsForEvents(groups, events))) return true
      const notes = deliveredNotes(nextNote)
      return pruneNotes(notes, notes.length)
    },
    /** Whether a delivered group is still stored and could be pruned. */
    hasKeptEvents: (pendingRanges: SequenceRange[] | null) =>
      deliveredGroups(pruning.oldestGroups(1), pendingRanges).length > 0,
    ...createUndeliveredDrop({ pruning, countOlder, settings }),
  }
}

function deliveredGroups(
  groups: PruningCandidate[],
  pendingRanges: SequenceRange[] | null,
): PruningCandidate[] {
  const next = firstUndelivered(pendingRanges)
  return groups.filter(({ to }) => to < next)
}
