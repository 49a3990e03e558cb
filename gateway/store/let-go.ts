import type { Config } from '../../config/config.ts'
import type { Clock } from '../../config/events.ts'
import type { startAges } from './ages.ts'
import type { Reached } from './bounds.ts'
import { startPolicies } from './lanes.ts'
import type { Candidate, Pruning } from './prune.ts'
import type { Delivered, Span } from './range-reader.ts'

/** Delivered notes that are kept at most: enough to look back on, few enough to forget about. */
const NOTES_KEPT = 100_000

type Parts = {
  pruning: Pruning
  ages: Pick<ReturnType<typeof startAges>, 'isLongAgo' | 'countOlder'>
  settings: Pick<Config['outbox'], 'keep' | 'bounds' | 'lanes' | 'whenFull'>
}

/** How many groups behind such as may not go are looked at, and emptied, in one step. */
const LOOK_MAX_GROUPS = 1000
const EMPTY_MAX_GROUPS = 200

export type LetGo = ReturnType<typeof openLetGo>

/**
 * What of an outbox may go: from its front, or out of groups behind such as may not. Each call lets
 * go at most what one step may, and tells whether it found anything.
 */
export function openLetGo({ pruning, ages, settings }: Parts) {
  const { keep, bounds } = settings
  const { stored } = pruning
  const policies = startPolicies(settings)
  const mayGo = (group: Candidate) => policies.of(group.lane) !== 'refuse'
  // All before this number is emptied, or may not go.
  let looked = 0
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
    hasTail: (spans: Span[] | null) => deliveredGroups(pruning.oldest(1), spans).length > 0,
    /** Deletes what is not delivered and may go, with tombstones, until so much is gone. */
    oldest({ spans }: Delivered, reached: Reached): boolean {
      const next = awaited(spans)
      const groups = pruning.oldest(reached.bytes)
      const first = groups.findIndex(one => !one.isEmptied && one.to >= next && !mayGo(one))
      const free = first < 0 ? groups : groups.slice(0, first)
      const last = free[countEnough(free, reached) - 1]
      if (last) pruning.drop(last, spans, reached.reason)
      return last !== undefined || (first >= 0 && behindOthers(spans, reached))
    },
    /** Whether what waits longest has waited longer than it may. */
    isLate: (spans: Span[] | null) => late(spans) !== undefined,
    /** Whether what has waited longer than it may is to make way for what is newer. */
    isForNewer(spans: Span[] | null): boolean {
      const group = late(spans)
      return group !== undefined && mayGo(group)
    },
  }

  function countEnough(groups: Candidate[], { key, events }: Reached): number {
    const isLate = key === 'hours' && bounds.hours !== null
    return isLate ? countOlder(groups, bounds.hours!) : countEvents(groups, events)
  }

  function late(spans: Span[] | null): Candidate | undefined {
    if (bounds.hours === null) return undefined
    const group = pruning.holding(awaited(spans))
    return group && countOlder([group], bounds.hours) > 0 ? group : undefined
  }

  /** Empties groups that may go behind such as may not. */
  function behindOthers(spans: Span[] | null, reached: Reached): boolean {
    const page = pruning.from(looked, LOOK_MAX_GROUPS)
    const free = page.filter(one => !one.isEmptied && mayGo(one))
    const some = free.slice(0, Math.min(EMPTY_MAX_GROUPS, countUpTo(free, reached.bytes)))
    const chosen = some.slice(0, countEnough(some, reached))
    if (chosen.length > 0) {
      pruning.empty(chosen, spans, reached.reason)
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
function awaited(spans: Span[] | null): number {
  const open = (spans ?? []).filter(({ next, end }) => end === null || next <= end)
  return open.length > 0 ? Math.min(...open.map(({ next }) => next)) : 0
}

function deliveredGroups(groups: Candidate[], spans: Span[] | null): Candidate[] {
  const next = awaited(spans)
  return groups.filter(({ to }) => to < next)
}

/** How many groups it takes until so many bytes are gone. */
function countUpTo(groups: Candidate[], bytes: number): number {
  let [count, gone] = [0, 0]
  while (count < groups.length && gone < bytes) gone += groups[count++]!.bytes
  return count
}

function countEvents(groups: Candidate[], events: number): number {
  let [count, gone] = [0, 0]
  for (; count < groups.length && gone < events; count++) {
    const { sequence, to, gone: before } = groups[count]!
    gone += to - sequence + 1 - before
  }
  return count
}
