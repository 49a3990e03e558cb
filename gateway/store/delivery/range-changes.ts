import type { Note } from '../notes/note-kinds.ts'
import type { Range, RangesEdit } from '../sequence/delivery-range.ts'
import { asDeferred, caughtUpNote, deferralNote } from './deferral.ts'
import { excludedPartitions, formatZoneFilter, includedPartitions } from './zone-filter.ts'

/** Writes a note in the transaction that changes the ranges; returns the number of the note. */
export type AddNote = (note: Note) => number

/**
 * Redirects the live range to another topic. The ranges of isolated partitions are merged into the
 * live range, whose position moves back to their lowest position. The ranges cannot stay isolated,
 * because in the other topic each zone may have another partition.
 */
export function redirectLive(ranges: Range[], topic: string, partitions: number) {
  return (addNote: AddNote): RangesEdit => {
    const live = ranges.find(range => range.end === null && range.kind === 'live')!
    const removed = ranges.filter(range => range !== live)
    for (const range of removed) {
      if (range.kind === 'apart') addNote(caughtUpNote(range))
    }
    const next = Math.min(...ranges.map(range => range.next))
    return { removed, changed: [{ ...live, topic, partitions, next, zones: null }] }
  }
}

/**
 * Splits the live ranges at `last`: events up to `last` become a backlog for `topic`, later events
 * stay live. A live range that ended because the partition count changed becomes a backlog of its
 * own, because its zones have other partitions.
 */
export function splitBacklog(live: Range[], last: number, topic: string) {
  return (addNote: AddNote): RangesEdit => {
    const ended = live.flatMap(range => {
      if (range.end !== null) return [range]
      return range.next <= last ? [{ ...range, end: last }] : []
    })
    const split = live.filter(({ end, next }) => end === null && next <= last)
    return {
      changed: ended.map(range => toBacklog({ ...range, topic }, addNote)),
      added: split.map(({ id: _, ...rest }) => ({ ...rest, next: last + 1, reason: 'live' })),
    }
  }
}

/**
 * Isolates some partitions of a range. They get a range of their own, which starts at the current
 * position of `range`. The other partitions continue at `next`.
 */
export function isolatePartitions(range: Range, next: number, partitions: number[]) {
  return (addNote: AddNote): RangesEdit => {
    const { id: _, ...rest } = range
    const isolated = { ...rest, zones: formatZoneFilter({ only: partitions }) }
    const note = addNote(deferralNote(isolated, 'apart'))
    const without = [...excludedPartitions(range), ...partitions].sort((a, b) => a - b)
    const changed = [{ ...range, next, zones: formatZoneFilter({ without }) }]
    return { changed, added: [asDeferred(isolated, 'apart', note)] }
  }
}

/**
 * Merges the range of isolated partitions into the live range. Throws unless both ranges are at the
 * same position.
 */
export function mergeIsolated(isolated: Range, live: Range) {
  return (addNote: AddNote): RangesEdit => {
    if (isolated.next !== live.next) {
      throw new Error(
        `cannot merge ranges at different positions: the isolated range is at ${isolated.next}, ` +
          `the live range at ${live.next}`,
      )
    }
    addNote(caughtUpNote(isolated))
    return { removed: [isolated], changed: [withPartitionsOf(live, isolated)] }
  }
}

/**
 * Returns isolated partitions to the live range. Their events before the live range's position
 * become a backlog.
 */
export function splitIsolated(isolated: Range, live: Range, topic: string) {
  return (addNote: AddNote): RangesEdit => {
    addNote(caughtUpNote(isolated))
    const backlog = toBacklog({ ...isolated, end: live.next - 1, topic }, addNote)
    return { changed: [backlog, withPartitionsOf(live, isolated)] }
  }
}

/**
 * Changes the partition count for events after `last`, the last stored event; events up to `last`
 * are delivered first, with the old count. The change starts after the last stored event and not
 * after the last delivered event, because an event that is sent again after a restart must go to
 * the same partition.
 */
export function repartition(live: Range, last: number, partitions: number) {
  return (addNote: AddNote): RangesEdit => {
    const { topic, store, partitions: from } = live
    const behind = Math.max(last, live.next - 1)
    const counts = { from, to: partitions }
    const content = { store: store.toString('hex'), topic, behind, partitions: counts }
    addNote({ kind: 'spread', content })
    const { id, ...next } = { ...live, partitions, reason: 'live' }
    if (live.next > last) return { changed: [{ id, ...next }] }
    const ended = { ...live, end: last, reason: 'spread' }
    return { changed: [ended], added: [{ ...next, next: last + 1 }] }
  }
}

function toBacklog(range: Range, addNote: AddNote): Range {
  const note = addNote(deferralNote(range, 'backlog'))
  return asDeferred(range, 'backlog', note)
}

function withPartitionsOf(live: Range, isolated: Range): Range {
  const returned = includedPartitions(isolated)
  const without = excludedPartitions(live).filter(partition => !returned.includes(partition))
  return { ...live, zones: formatZoneFilter({ without }) }
}
