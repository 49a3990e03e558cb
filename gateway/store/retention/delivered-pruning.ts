import type { Config } from '../../../config/config.ts'
import type { Clock } from '../../../config/event/sensor-reading.ts'
import type { Delivered } from '../delivery/inbox-reader.ts'
import type { Candidate, Pruning } from '../groups/pruning.ts'
import type { Span } from '../sequence/delivery-range.ts'
import type { Reached } from './bounds.ts'
import type { startAges } from './group-age.ts'
import { awaited, countEvents, countUpTo, openDropping } from './undelivered-drop.ts'

/** Delivered notes that are kept at most: enough to look back on, few enough to forget about. */
const NOTES_KEPT = 100_000

type Parts = {
  pruning: Pruning
  ages: Pick<ReturnType<typeof startAges>, 'isLongAgo' | 'countOlder'>
  settings: Pick<Config['outbox'], 'keep' | 'bounds' | 'lanes' | 'whenFull'>
}

export type LetGo = ReturnType<typeof openLetGo>

/**
 * What of an outbox may go: from its front, or out of groups behind such as may not. Each call lets
 * go at most what one step may, and tells whether it found anything.
 */
export function openLetGo({ pruning, ages, settings }: Parts) {
  const { keep } = settings
  const { stored } = pruning
  const countOlder = (groups: Candidate[], hours: number) =>
    ages.countOlder(groups, hours, (one: Candidate): Clock | null => pruning.clockOf(one))
  const deliveredNotes = (nextNote: number) =>
    pruning.oldestNotes().filter(({ sequence }) => sequence < nextNote)

  /** Bytes of what is delivered and kept. */
  const keptBytes = (spans: Span[] | null) => stored.bytesBefore(awaited(spans)) - base()
  const base = () => stored.bytesBefore(0)
  const pruneSome = (groups: Candidate[], count: number) => {
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
    beyondTail({ spans, replayFrom, nextNote }: Delivered): boolean {
      const kept = replayFrom ?? Number.POSITIVE_INFINITY
      const groups = deliveredGroups(pruning.oldest(), spans).filter(({ to }) => to < kept)
      const surplus = keptBytes(spans) - keep.bytes
      const count = Math.max(countUpTo(groups, surplus), countOlder(groups, keep.hours))
      if (pruneSome(groups, count)) return true
      const notes = deliveredNotes(nextNote)
      const young = notes.findIndex(({ at }) => !ages.isLongAgo(at, keep.hours))
      const tooMany = Math.min(notes.length, pruning.notesBefore(nextNote) - NOTES_KEPT)
      return pruneNotes(notes, Math.max(young < 0 ? notes.length : young, tooMany))
    },
    /** Deletes what is delivered, to be kept or sent once more or not, until so much is gone. */
    tail({ spans, nextNote }: Delivered, { bytes, events }: Pick<Reached, 'bytes' | 'events'>) {
      const groups = deliveredGroups(pruning.oldest(bytes), spans)
      if (pruneSome(groups, countEvents(groups, events))) return true
      const notes = deliveredNotes(nextNote)
      return pruneNotes(notes, notes.length)
    },
    /** Whether there is anything that is delivered and kept. */
    hasTail: (spans: Span[] | null) => deliveredGroups(pruning.oldest(1), spans).length > 0,
    ...openDropping({ pruning, countOlder, settings }),
  }
}

function deliveredGroups(groups: Candidate[], spans: Span[] | null): Candidate[] {
  const next = awaited(spans)
  return groups.filter(({ to }) => to < next)
}
