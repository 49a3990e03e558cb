import {
  type AddNote,
  cut,
  cutApart,
  joined,
  setApart,
  spread,
  turned,
} from '../delivery/range-changes.ts'
import { caughtUp, kindOf, type RangeKind } from '../delivery/range-kind.ts'
import type { Inbox, Range, RangesEdit } from '../inbox.ts'
import { isDone } from '../sequence/delivery-range.ts'

export type Ranges = ReturnType<typeof startRanges>

/**
 * The ranges of the store that is read now, as ARCHITECTURE.md describes them: each change of the
 * plan is one transaction of the inbox, with the note that tells of it.
 */
export function startRanges(inbox: Inbox) {
  let all: Range[] = []
  const of = (...kinds: RangeKind[]) => all.filter(range => kinds.includes(kindOf(range)))
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
    get behind(): Range[] {
      return [...of('backlog').sort((a, b) => a.next - b.next), ...of('replay')]
    },
    get apart(): Range[] {
      return of('apart')
    },
    /** What is still to be delivered; a replay was. */
    get awaited(): Range[] {
      return of('live', 'backlog', 'apart')
    },
    /** Whether what is stored from now on goes to this topic. */
    isBoundFor: (topic: string) => open()?.topic === topic,
    /** Takes up what the inbox has of a store. */
    load(store: Buffer | null): void {
      all = store ? inbox.rangesOf(store) : []
    },
    /** Adds a range durably. */
    add(range: Omit<Range, 'id'>): void {
      all = [...all, inbox.addRange(range)]
    },
    /** Has what is live go to another topic, durably; false when there is nothing yet. */
    turn(topic: string, partitions: number): boolean {
      const live = open()
      if (live && live.topic !== topic) edit(turned(of('live', 'apart'), topic, partitions))
      return live !== undefined
    },
    /** Has what goes behind live data go to another topic, durably. */
    turnBehind(topic: string): void {
      const changed = of('backlog', 'replay').filter(one => one.topic !== topic)
      if (changed.length > 0) edit(() => ({ changed: changed.map(one => ({ ...one, topic })) }))
    },
    /** See plan.ts, as the next four. To be called while nothing of the live range is sent. */
    cut: (last: number, topic: string) => void edit(cut(of('live'), last, topic)),
    setApart: (range: Range, next: number, partitions: number[]): Range =>
      edit(setApart(range, next, partitions))[0]!,
    join: (apart: Range) => void edit(joined(apart, open()!)),
    cutApart: (apart: Range, topic: string) => void edit(cutApart(apart, open()!, topic)),
    spread(last: number, partitions: number): number {
      edit(spread(open()!, last, partitions))
      return open()!.next
    },
    /** Moves a range on; durable within a second or at close. A closed one that is done is gone. */
    move(range: Range, next: number): void {
      if (kindOf(range) === 'backlog' && isDone({ next, end: range.end })) {
        const [kind, content] = caughtUp(range)
        inbox.addNotes([{ kind, content }])
      }
      inbox.moveRange(Object.assign(range, { next }))
      // It may have been taken up anew, or changed, while its events were under way.
      for (const one of all) if (one.id === range.id) one.next = next
      all = all.filter(one => !isDone(one))
    },
  }
}
