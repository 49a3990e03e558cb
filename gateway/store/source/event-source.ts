import { includedPartitions } from '../delivery/zone-filter.ts'
import { bellFile, watchBell } from '../file/bell.ts'
import type { Inbox, Range } from '../inbox.ts'
import { createReopeningReader, type ReopeningReader } from '../read/reopening-reader.ts'
import { type ActiveRanges, createActiveRanges } from './active-ranges.ts'
import { createDeliveryPlan } from './delivery-plan.ts'
import { createRangeSources } from './range-sources.ts'

/** A replay to be added to the delivery plan; `reason` comes from replayReason. */
export type ReplayRange = Omit<Range, 'id' | 'store' | 'kind' | 'deferral'>

export type EventSource = ReturnType<typeof openEventSource>

/**
 * The bridge's view of the outbox: the undelivered events, according to the ranges in the inbox.
 * While the outbox is missing, busy or replaced, there is nothing to read and no error is thrown;
 * call `refresh` later. A damaged outbox is marked as damaged and not read until the gateway has
 * salvaged it.
 */
export function openEventSource({ outboxFile, inbox }: { outboxFile: string; inbox: Inbox }) {
  const bell = watchBell(bellFile(outboxFile))
  const outbox = createReopeningReader(outboxFile)
  const ranges = createActiveRanges(inbox)
  inbox.setWriterReader(outbox.readWriter)

  return {
    plan: createDeliveryPlan(ranges, outbox, inbox),
    ...createRangeSources(ranges, outbox, inbox),
    /**
     * Opens the outbox when it exists, and opens it again when another store has replaced it.
     * Returns the open store and the name of its gateway, or null while no store is open.
     */
    refresh() {
      if (outbox.refresh()) ranges.load(outbox.store?.id ?? null)
      return outbox.store
    },
    /** The store as of the last refresh. */
    get store() {
      return outbox.store
    },
    /** Returns the epoch of the outbox now; null before an outbox was read. */
    readEpoch: outbox.readEpoch,
    /**
     * The damage of the outbox, which is not read until the gateway has salvaged it; null when no
     * damage was found.
     */
    get damaged() {
      return outbox.damaged
    },
    /** The ranges of the open store. */
    get ranges(): readonly Range[] {
      return ranges.all
    },
    sendsTo: ranges.sendsTo,
    /**
     * Adds the live range at the first contact with a store; redirects it when another topic is
     * configured. All undelivered live events are sent to this topic.
     */
    ensureLiveRange(topic: string, partitions: number): void {
      if (!outbox.store || ranges.redirectLive(topic, partitions)) return
      const next = outbox.readOrElse(null, reader => reader.firstSequence ?? 1)
      if (next === null) return
      const rest = { end: null, zones: null, kind: 'live', reason: 'first contact' } as const
      ranges.addRange({ store: outbox.store.id, next, topic, partitions, ...rest })
    },
    /** Adds a replay of the open store, durably. */
    addReplay(replay: ReplayRange): void {
      if (!outbox.store) throw new Error(`cannot add a replay: there is no outbox ${outboxFile}`)
      ranges.addRange({ store: outbox.store.id, kind: 'replay', ...replay })
    },
    /** Reads the notes of the outbox from a note number on. */
    notesFrom: (sequence: number) =>
      outbox.readOrElse([], reader => {
        const notes = reader.notesFrom(sequence)
        const last = notes.at(-1)
        if (last) inbox.recordRead(reader.store, { noteSequence: last.sequence })
        return notes
      }),
    backlog: () => measureBacklog(ranges, outbox),
    /** Resolves when the bell has rung since the last call, or after `timeoutMs`. */
    waitForCommit: bell.next,
    /** Makes waitForCommit resolve at once. */
    wake: bell.wake,
    close(): void {
      bell.close()
      outbox.close()
    },
  }
}

/**
 * Measures the undelivered events; null while the outbox cannot be read. Of the events between an
 * isolated range's position and the live range's position, the share of the isolated partitions is
 * counted, which is an estimate.
 */
function measureBacklog(ranges: ActiveRanges, outbox: ReopeningReader) {
  return outbox.readOrElse(null, reader => {
    const ordinary = ranges.undelivered.filter(range => range.kind !== 'apart')
    const backlog = reader.backlog(ranges.all.length > 0 ? ordinary : null, Date.now())
    const isolated = ranges.isolated.map(({ next, ...range }) => {
      const end = (ranges.open?.next ?? next) - 1
      const ofAll = reader.backlog([{ next, end }], Date.now())
      return { ...ofAll, proportion: includedPartitions(range).length / range.partitions }
    })
    return isolated.reduce(
      (sum, { events, bytes, oldestAgeMs, proportion }) => ({
        events: sum.events + Math.ceil(events * proportion),
        bytes: sum.bytes + Math.ceil(bytes * proportion),
        oldestAgeMs: Math.max(sum.oldestAgeMs, oldestAgeMs),
      }),
      backlog,
    )
  })
}
