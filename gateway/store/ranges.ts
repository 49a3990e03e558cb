import type { Inbox, Range } from './inbox.ts'
import { isDone } from './positions.ts'
import { isReplay } from './replays.ts'

export type Ranges = ReturnType<typeof startRanges>

/** The ranges of the store that is read now: each change is told to the inbox. */
export function startRanges(inbox: Inbox) {
  let all: Range[] = []
  return {
    get all(): readonly Range[] {
      return all
    },
    /** What is still to be delivered. */
    get awaited(): Range[] {
      return all.filter(range => !isReplay(range))
    },
    /** What is to be sent once more. */
    get replays(): Range[] {
      return all.filter(isReplay)
    },
    /** Whether what is stored from now on goes to this topic. */
    isBoundFor: (topic: string) => all.some(range => range.end === null && range.topic === topic),
    /** Takes up what the inbox has of a store. */
    load(store: Buffer | null): void {
      all = store ? inbox.rangesOf(store) : []
    },
    /** Adds a range durably. */
    add(range: Omit<Range, 'id'>): void {
      all = [...all, inbox.addRange(range)]
    },
    /** Has the open range go to another topic, durably; false when there is none. */
    turn(topic: string, partitions: number): boolean {
      const open = all.find(({ end }) => end === null)
      if (open && open.topic !== topic) {
        Object.assign(open, { topic, partitions })
        inbox.turnRange(open)
      }
      return open !== undefined
    },
    /** Has what is to be sent once more go to another topic, durably. */
    turnReplays(topic: string): void {
      for (const range of all.filter(one => isReplay(one) && one.topic !== topic)) {
        range.topic = topic
        inbox.turnRange(range)
      }
    },
    /** Moves a range on; durable within a second or at close. A closed one that is done is gone. */
    move(range: Range, next: number): void {
      inbox.moveRange(Object.assign(range, { next }))
      // It may have been taken up anew while its events were under way.
      for (const one of all) if (one.id === range.id) one.next = next
      all = all.filter(one => !isDone(one))
    },
  }
}
