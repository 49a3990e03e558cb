import { deferralContent } from '../delivery/deferral.ts'
import { createZoneMatcher } from '../delivery/zone-filter.ts'
import type { Inbox, Range } from '../inbox.ts'
import type { ReopeningReader } from '../read/reopening-reader.ts'
import { mergeRanges, type SequenceRange } from '../sequence/delivery-range.ts'
import type { ActiveRanges } from './active-ranges.ts'
import type { RangeBatch } from './batch-reader.ts'

/**
 * The changes of the delivery plan that the bridge decides between two batches of the live range.
 * Each change is durable when the call returns (docs/internals/delivery.md).
 */
export function createDeliveryPlan(
  ranges: ActiveRanges,
  outbox: ReopeningReader,
  { addNotes }: Inbox,
) {
  const matcherOf = createZoneMatcher()
  const lastStored = () => outbox.readOrElse(null, reader => reader.lastSequence ?? 0)
  const liveNext = () => ranges.open?.next
  return {
    /**
     * Writes the note `contact`, which names the deferred ranges of this inbox that are still
     * undelivered.
     */
    recordContact(store: Buffer): void {
      const behind = ranges.undelivered.map(deferralContent).filter(content => content !== null)
      addNotes([{ kind: 'contact', content: { store: store.toString('hex'), behind } }])
    },
    /**
     * Returns the ranges of sequences that are undelivered for a zone, or for any zone, in order.
     */
    undelivered: (zone?: string): SequenceRange[] => {
      const isOfZone = (range: Range) => zone === undefined || (matcherOf(range)?.(zone) ?? true)
      return mergeRanges(ranges.undelivered.filter(isOfZone))
    },
    /**
     * Measures the undelivered live events: their number, their bytes, and the age of the oldest
     * event; null while the outbox cannot be read.
     */
    liveBacklog: () => outbox.readOrElse(null, reader => reader.backlog(ranges.live, Date.now())),
    /** Makes all stored and undelivered live events a backlog, which is sent to `topic`. */
    splitBacklog(topic: string): void {
      const [last, next] = [lastStored(), ranges.live[0]?.next]
      if (last !== null && next !== undefined && last >= next) ranges.splitBacklog(last, topic)
    },
    /** The ranges of isolated partitions. */
    get isolated(): readonly Range[] {
      return ranges.isolated
    },
    /** Whether partitions of this batch can be isolated. */
    canIsolate: ({ range }: RangeBatch) => range.end === null && ranges.live.length === 1,
    /**
     * Isolates partitions of a batch whose records have no known fate. The fates of the other
     * records are known, so the live range continues after the batch.
     */
    isolate: ({ range, next }: RangeBatch, partitions: number[]): Range =>
      ranges.isolate(range, next, partitions),
    /**
     * By how many sequence numbers the position of an isolated range is lower than that of the live
     * range.
     */
    lagOf: ({ next }: Range): number => (liveNext() ?? next) - next,
    /**
     * Measures the undelivered events of an isolated range. The result is too high, because the
     * events of other partitions count too.
     */
    backlogOf: ({ next }: Range) => {
      const end = (liveNext() ?? next) - 1
      return outbox.readOrElse(null, reader => reader.backlog([{ next, end }], Date.now()))
    },
    /**
     * Merges an isolated range into the live range. Throws unless both ranges are at the same
     * position.
     */
    mergeIsolated: ranges.mergeIsolated,
    /**
     * Returns isolated partitions to the live range. Their events before the live range's position
     * become a backlog.
     */
    deferIsolated: ranges.deferIsolated,
    /**
     * Changes the partition count for events stored from now on, durably. Returns the first
     * sequence with the new count, or null while the outbox cannot be read.
     */
    changePartitions(partitions: number): number | null {
      const last = lastStored()
      return last === null ? null : ranges.changePartitions(last, partitions)
    },
  }
}
