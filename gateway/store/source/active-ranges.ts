import {
  type AddNote,
  isolatePartitions,
  mergeIsolated,
  redirectLive,
  repartition,
  splitBacklog,
  splitIsolated,
} from '../delivery/range-changes.ts'
import { caughtUpNote, type RangeKind, rangeKind } from '../delivery/range-kind.ts'
import type { Inbox, Range, RangesEdit } from '../inbox.ts'
import { isDone } from '../sequence/delivery-range.ts'

export type ActiveRanges = ReturnType<typeof createActiveRanges>

/**
 * The ranges of the store that is read now, as ARCHITECTURE.md describes them: each change of the
 * plan is one transaction of the inbox, with the note that tells of it.
 */
export function createActiveRanges(inbox: Inbox) {
  let all: Range[] = []
  const of = (...kinds: RangeKind[]) => all.filter(range => kinds.includes(rangeKind(range)))
  const open = () => of('live').find(({ end }) => end === null)
  const edit = (make: (note: AddNote) => RangesEdit): Range[] => {
    const { changed = [], removed = [], added } = inbox.editRanges(make)
    const gone = new Set(removed.map(({ id }) => id))
    const now = new Map(changed.map(range => [range.id, range]))
    const kept = all.filter(({ id }) => !gone.has(id)).map(range => now.get(range.id) ?? range)
    all = [...kept, ...added]
    return added
  }

  return {
    get all(): readonly Range[] {
      return all
    },
    /** What goes to the readings in order: what is left from before a spread, then the open one. */
    get live(): Range[] {
      return of('live')
    },
    get open(): Range | undefined {
      return open()
    },
    /** What goes behind live data: backlogs, the oldest events first, then replays. */
    get backfill(): Range[] {
      return [...of('backlog').sort((a, b) => a.next - b.next), ...of('replay')]
    },
    get isolated(): Range[] {
      return of('apart')
    },
    /** What is still to be delivered; a replay was. */
    get undelivered(): Range[] {
      return of('live', 'backlog', 'apart')
    },
    /** Whether what is stored from now on goes to this topic. */
    sendsTo: (topic: string) => open()?.topic === topic,
    /** Takes up what the inbox has of a store. */
    load(store: Buffer | null): void {
      all = store ? inbox.rangesOf(store) : []
    },
    /** Adds a range durably. */
    addRange(range: Omit<Range, 'id'>): void {
      all = [...all, inbox.addRange(range)]
    },
    /** Has what is live go to another topic, durably; false when there is nothing yet. */
    redirectLive(topic: string, partitions: number): boolean {
      const live = open()
      if (live && live.topic !== topic) edit(redirectLive(of('live', 'apart'), topic, partitions))
      return live !== undefined
    },
    /** Has what goes behind live data go to another topic, durably. */
    redirectBackfill(topic: string): void {
      const changed = of('backlog', 'replay').filter(one => one.topic !== topic)
      if (changed.length > 0) edit(() => ({ changed: changed.map(one => ({ ...one, topic })) }))
    },
    /** See plan.ts, as the next four. To be called while nothing of the live range is sent. */
    splitBacklog: (last: number, topic: string) => void edit(splitBacklog(of('live'), last, topic)),
    isolate: (range: Range, next: number, partitions: number[]): Range =>
      edit(isolatePartitions(range, next, partitions))[0]!,
    mergeIsolated: (apart: Range) => void edit(mergeIsolated(apart, open()!)),
    deferIsolated: (apart: Range, topic: string) => void edit(splitIsolated(apart, open()!, topic)),
    changePartitions(last: number, partitions: number): number {
      edit(repartition(open()!, last, partitions))
      return open()!.next
    },
    /** Moves a range on; durable within a second or at close. A closed one that is done is gone. */
    advance(range: Range, next: number): void {
      if (rangeKind(range) === 'backlog' && isDone({ next, end: range.end })) {
        inbox.addNotes([caughtUpNote(range)])
      }
      inbox.moveRange(Object.assign(range, { next }))
      // It may have been taken up anew, or changed, while its events were under way.
      for (const one of all) if (one.id === range.id) one.next = next
      all = all.filter(one => !isDone(one))
    },
  }
}
