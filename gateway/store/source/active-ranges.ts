import { caughtUpNote } from '../delivery/deferral.ts'
import {
  type AddNote,
  isolatePartitions,
  mergeIsolated,
  redirectLive,
  repartition,
  splitBacklog,
  splitIsolated,
} from '../delivery/range-changes.ts'
import type { Inbox, Range, RangesEdit } from '../inbox.ts'
import { isDone, type RangeKind } from '../sequence/delivery-range.ts'

export type ActiveRanges = ReturnType<typeof createActiveRanges>

/**
 * The ranges of the open store (docs/internals/delivery.md). Each change of the ranges and the note
 * that reports the change are one transaction of the inbox.
 */
export function createActiveRanges(inbox: Inbox) {
  let all: Range[] = []
  const rangesOf = (...kinds: RangeKind[]) => all.filter(range => kinds.includes(range.kind))
  const openRange = () => rangesOf('live').find(({ end }) => end === null)
  const edit = (makeEdit: (note: AddNote) => RangesEdit): Range[] => {
    const { changed = [], removed = [], added } = inbox.editRanges(makeEdit)
    const removedIds = new Set(removed.map(({ id }) => id))
    const changedById = new Map(changed.map(range => [range.id, range]))
    const kept = all
      .filter(({ id }) => !removedIds.has(id))
      .map(range => changedById.get(range.id) ?? range)
    all = [...kept, ...added]
    return added
  }

  return {
    get all(): readonly Range[] {
      return all
    },
    /**
     * The ranges of the readings topic: first the ranges that ended at a change of the partition
     * count, then the open range.
     */
    get live(): Range[] {
      return rangesOf('live')
    },
    /** The live range without an end; undefined before the first contact. */
    get open(): Range | undefined {
      return openRange()
    },
    /** Ranges of the backfill topic: backlogs, the oldest events first, then replays. */
    get backfill(): Range[] {
      return [...rangesOf('backlog').sort((a, b) => a.next - b.next), ...rangesOf('replay')]
    },
    get isolated(): Range[] {
      return rangesOf('apart')
    },
    /** All ranges except replays, whose events are delivered. */
    get undelivered(): Range[] {
      return rangesOf('live', 'backlog', 'apart')
    },
    /** Whether events that are stored from now on are sent to this topic. */
    sendsTo: (topic: string) => openRange()?.topic === topic,
    /** Loads the ranges of a store from the inbox; null: there is no open store. */
    load(store: Buffer | null): void {
      all = store ? inbox.rangesOf(store) : []
    },
    /** Adds a range durably. */
    addRange(range: Omit<Range, 'id'>): void {
      all = [...all, inbox.addRange(range)]
    },
    /**
     * Redirects live events to another topic, durably. Returns false when there is no live range
     * yet.
     */
    redirectLive(topic: string, partitions: number): boolean {
      const open = openRange()
      if (open && open.topic !== topic) {
        edit(redirectLive(rangesOf('live', 'apart'), topic, partitions))
      }
      return open !== undefined
    },
    /** Redirects backlogs and replays to another topic, durably. */
    redirectBackfill(topic: string): void {
      const changed = rangesOf('backlog', 'replay').filter(range => range.topic !== topic)
      if (changed.length > 0) edit(() => ({ changed: changed.map(range => ({ ...range, topic })) }))
    },
    /**
     * The following functions make the changes of delivery/range-changes.ts. Call them only while
     * no batch of the live range is being sent.
     */
    splitBacklog: (last: number, topic: string) =>
      void edit(splitBacklog(rangesOf('live'), last, topic)),
    isolate: (range: Range, next: number, partitions: number[]): Range =>
      edit(isolatePartitions(range, next, partitions))[0]!,
    mergeIsolated: (isolated: Range) => void edit(mergeIsolated(isolated, openRange()!)),
    deferIsolated: (isolated: Range, topic: string) =>
      void edit(splitIsolated(isolated, openRange()!, topic)),
    changePartitions(last: number, partitions: number): number {
      edit(repartition(openRange()!, last, partitions))
      return openRange()!.next
    },
    /**
     * Moves the position of a range to `next`, durably within a second or at close. Removes the
     * range when it is done.
     */
    advance(range: Range, next: number): void {
      if (range.kind === 'backlog' && isDone({ next, end: range.end })) {
        inbox.addNotes([caughtUpNote(range)])
      }
      inbox.moveRange(Object.assign(range, { next }))
      // `range` may be an older copy: a reload or an edit replaces ranges while a batch is sent.
      for (const current of all) if (current.id === range.id) current.next = next
      all = all.filter(current => !isDone(current))
    },
  }
}
