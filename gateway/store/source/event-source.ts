import { rangeKind } from '../delivery/range-kind.ts'
import { includedPartitions } from '../delivery/zone-filter.ts'
import { bellFile, watchBell } from '../file/bell.ts'
import type { Inbox, Range } from '../inbox.ts'
import { createReopeningReader } from '../read/reopening-reader.ts'
import { createActiveRanges } from './active-ranges.ts'
import { createDeliveryPlan } from './delivery-plan.ts'
import { createRangeSources } from './range-sources.ts'

/** What is sent once more, and where: `reason` is a replayReason. */
export type ReplayRange = Omit<Range, 'id' | 'store'>

export type EventSource = ReturnType<typeof openEventSource>

/**
 * The bridge's view of the outbox: which events are still to be delivered, by the ranges in the
 * inbox. A missing, busy or replaced outbox is a state: nothing to take, look again. So is a
 * damaged one: it is marked for the gateway, which salvages it, and not read meanwhile.
 */
export function openEventSource({ outboxFile, inbox }: { outboxFile: string; inbox: Inbox }) {
  const bell = watchBell(bellFile(outboxFile))
  const outbox = createReopeningReader(outboxFile)
  const ranges = createActiveRanges(inbox)

  return {
    /** Which range goes where, and its changes. */
    plan: createDeliveryPlan(ranges, outbox, inbox),
    ...createRangeSources(ranges, outbox, inbox),
    /**
     * Opens the outbox when it is there, and again when another store stands in its place. Gives
     * the store that is open now and its gateway's name, or null while there is none.
     */
    refresh() {
      if (outbox.refresh()) ranges.load(outbox.store?.id ?? null)
      return outbox.store
    },
    /** The store as of the last look. */
    get store() {
      return outbox.store
    },
    /** Why the outbox is not read until the gateway has salvaged it; null when it is sound. */
    get damaged() {
      return outbox.damaged
    },
    /** The ranges of the store that is open now. */
    get ranges(): readonly Range[] {
      return ranges.all
    },
    sendsTo: ranges.sendsTo,
    /**
     * Records the first contact, or that another topic is configured now: what is stored, and what
     * of it still waits, goes to this topic.
     */
    ensureLiveRange(topic: string, partitions: number): void {
      if (!outbox.store || ranges.redirectLive(topic, partitions)) return
      const next = outbox.readOrElse(null, from => from.firstSequence ?? 1)
      if (next === null) return
      const rest = { end: null, zones: null, reason: 'first contact' }
      ranges.addRange({ store: outbox.store.id, next, topic, partitions, ...rest })
    },
    /** Adds a replay of the store that is open now, durably. */
    addReplay(replay: ReplayRange): void {
      if (!outbox.store) throw new Error('there is no outbox')
      ranges.addRange({ store: outbox.store.id, ...replay })
    },
    /** Notes of the outbox from a number on. */
    notesFrom: (sequence: number) =>
      outbox.readOrElse([], from => {
        const notes = from.notesFrom(sequence)
        const last = notes.at(-1)
        if (last) inbox.recordRead(from.store, { noteSequence: last.sequence })
        return notes
      }),
    /** What waits; of partitions that are apart their share of what lies between is taken. */
    backlog: () =>
      outbox.readOrElse(null, from => {
        const whole = ranges.undelivered.filter(range => rangeKind(range) !== 'apart')
        const known = from.backlog(ranges.all.length > 0 ? whole : null, Date.now())
        const shares = ranges.isolated.map(({ next, ...range }) => {
          const end = (ranges.open?.next ?? next) - 1
          const { oldestAgeMs, ...all } = from.backlog([{ next, end }], Date.now())
          const share = includedPartitions(range).length / range.partitions
          return { ...all, oldestAgeMs, share }
        })
        return shares.reduce(
          (sum, { events, bytes, oldestAgeMs, share }) => ({
            events: sum.events + Math.ceil(events * share),
            bytes: sum.bytes + Math.ceil(bytes * share),
            oldestAgeMs: Math.max(sum.oldestAgeMs, oldestAgeMs),
          }),
          known,
        )
      }),
    /** Resolves when the bell rang since the last call, or after `timeoutMs`. */
    waitForCommit: bell.next,
    /** Ends a wait for an arrival at once. */
    wake: bell.wake,
    close(): void {
      bell.close()
      outbox.close()
    },
  }
}
