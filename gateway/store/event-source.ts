import { statSync } from 'node:fs'
import { bellFile, readBell, watchBell } from './bell.ts'
import type { Inbox, Range } from './inbox.ts'
import { type OutboxReader, openOutboxReader } from './outbox-reader.ts'
import { isReplay } from './replays.ts'
import { type TakeLimits, type Taken, takeFrom } from './take.ts'

/** What is sent once more, and where: `reason` is a replayReason. */
export type Replay = Omit<Range, 'id' | 'store'>

export type EventSource = ReturnType<typeof openEventSource>

/**
 * The bridge's view of the outbox: which events are still to be delivered, by the ranges in the
 * inbox. A missing, busy or replaced outbox is a state: nothing to take, look again.
 */
export function openEventSource({ outboxFile, inbox }: { outboxFile: string; inbox: Inbox }) {
  const bell = watchBell(bellFile(outboxFile))
  let ranges: Range[] = []
  const place = startPlace(outboxFile, reader => {
    ranges = reader ? inbox.rangesOf(reader.store) : []
  })

  const takeOf = (some: Range[], limits: TakeLimits): Taken | null => {
    for (const range of place.reader ? some : []) {
      const taken = takeFrom(place.reader!, inbox, range, limits)
      if (taken) return taken
      endIfDone(range)
    }
    return null
  }
  const settle = ({ range, next }: Taken): void => {
    range.next = next
    inbox.moveRange(range.id, next)
    endIfDone(range)
  }
  /** What a closed range had is delivered, or noted as gone. */
  const endIfDone = (range: Range): void => {
    if (range.end === null || range.next <= range.end) return
    inbox.removeRange(range.id)
    ranges = ranges.filter(one => one !== range)
  }

  return {
    /**
     * Opens the outbox when it is there, and again when another store stands in its place. Gives
     * the store that is open now and its gateway's name, or null while there is none.
     */
    look() {
      place.look()
      return this.store
    },
    /** The store as of the last look. */
    get store() {
      const { reader } = place
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
      const { reader } = place
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
    take: (limits: TakeLimits) =>
      takeOf(
        ranges.filter(one => !isReplay(one)),
        limits,
      ),
    /** Moves the range on behind what Kafka has; durable within a second or at close. */
    settle,
    /** What is to be sent once more: one replay at a time, each gone when it is done. */
    replays: { take: (limits: TakeLimits) => takeOf(ranges.filter(isReplay), limits), settle },
    /** Adds a replay of the store that is open now, durably. */
    addReplay(replay: Replay): void {
      if (!place.reader) throw new Error('there is no outbox')
      ranges = [...ranges, inbox.addRange({ store: place.reader.store, ...replay })]
    },
    /** Notes of the outbox from a number on. */
    notesFrom: (sequence: number) => place.reader?.notesFrom(sequence) ?? [],
    backlog: () => place.reader?.backlog(ranges.length > 0 ? ranges : null, Date.now()) ?? null,
    /** Resolves when the bell rang since the last call, or after `timeoutMs`. */
    arrival: bell.next,
    /** Ends a wait for an arrival at once. */
    wake: bell.wake,
    close(): void {
      bell.close()
      place.reader?.close()
    },
  }
}

/** The outbox that stands in a place, opened when it is there and when another takes its place. */
function startPlace(file: string, onOpened: (reader: OutboxReader | null) => void) {
  let reader: OutboxReader | null = null
  let inode: number | undefined
  return {
    get reader() {
      return reader
    },
    look(): void {
      const mark = reader && readBell(bellFile(file))
      const isOther = mark && !mark.store.equals(reader!.store)
      if (reader && (isOther || inodeOf(file) !== inode)) {
        reader.close()
        reader = null
      }
      if (reader) return
      inode = inodeOf(file)
      reader = openOutboxReader(file)
      onOpened(reader)
    },
  }
}

/** A file that was put in another's place, a restored backup for one, is told by its inode. */
function inodeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.ino
}
