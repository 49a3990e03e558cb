import { statSync } from 'node:fs'
import { bellFile, readBell, watchBell } from './bell.ts'
import type { Inbox, Range } from './inbox.ts'
import { type OutboxReader, openOutboxReader } from './outbox-reader.ts'
import { type TakeLimits, type Taken, takeFrom } from './take.ts'

export type EventSource = ReturnType<typeof openEventSource>

/**
 * The bridge's view of the outbox: which events are still to be delivered, by the ranges in the
 * inbox. A missing, busy or replaced outbox is a state: nothing to take, look again.
 */
export function openEventSource({ outboxFile, inbox }: { outboxFile: string; inbox: Inbox }) {
  const bell = watchBell(bellFile(outboxFile))
  let reader: OutboxReader | null = null
  let ranges: Range[] = []
  let inode: number | undefined

  const look = (): OutboxReader | null => {
    const mark = reader && readBell(bellFile(outboxFile))
    const isOther = mark && !mark.store.equals(reader!.store)
    if (reader && (isOther || inodeOf(outboxFile) !== inode)) {
      reader.close()
      reader = null
    }
    if (!reader) {
      inode = inodeOf(outboxFile)
      reader = openOutboxReader(outboxFile)
      ranges = reader ? inbox.rangesOf(reader.store) : []
    }
    return reader
  }

  return {
    /**
     * Opens the outbox when it is there, and again when another store stands in its place. Gives
     * the store that is open now and its gateway's name, or null while there is none.
     */
    look() {
      look()
      return this.store
    },
    /** The store as of the last look. */
    get store() {
      return reader && { id: reader.store, gateway: reader.gateway }
    },
    /** The ranges of the store that is open now. */
    get ranges(): readonly Range[] {
      return ranges
    },
    /** Whether what is stored from now on goes to this topic. */
    isBoundFor: (topic: string) =>
      ranges.some(range => range.end === null && range.topic === topic),
    /**
     * Records the first contact, or that another topic is configured now: what is stored, and what
     * of it still waits, goes to this topic.
     */
    begin(topic: string, partitions: number): void {
      if (!reader) return
      const open = ranges.find(range => range.end === null)
      if (open?.topic === topic) return
      if (open) {
        Object.assign(open, { topic, partitions })
        inbox.turnRange(open)
        return
      }
      const next = reader.firstSequence ?? 1
      const rest = { end: null, zones: null, reason: 'first contact' }
      ranges = [inbox.addRange({ store: reader.store, next, topic, partitions, ...rest })]
    },
    /**
     * The oldest events that are still to be delivered, in whole groups; it does not remove them.
     */
    take(limits: TakeLimits): Taken | null {
      if (!reader) return null
      for (const range of ranges) {
        const taken = takeFrom(reader, inbox, range, limits)
        if (taken) return taken
      }
      return null
    },
    /** Moves the range on behind what Kafka has; durable within a second or at close. */
    settle({ range, next }: Taken): void {
      range.next = next
      inbox.moveRange(range.id, next)
    },
    /** Notes of the outbox from a number on. */
    notesFrom: (sequence: number) => reader?.notesFrom(sequence) ?? [],
    backlog: () => reader?.backlog(ranges.length > 0 ? ranges : null, Date.now()) ?? null,
    /** Resolves when the bell rang since the last call, or after `timeoutMs`. */
    arrival: bell.next,
    /** Ends a wait for an arrival at once. */
    wake: bell.wake,
    close(): void {
      bell.close()
      reader?.close()
    },
  }
}

/** A file that was put in another's place, a restored backup for one, is told by its inode. */
function inodeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.ino
}
