import { parseDeferral } from '../delivery/range-kind.ts'
import { createZoneMatcher } from '../delivery/zone-filter.ts'
import type { Inbox, Range } from '../inbox.ts'
import type { createReopeningReader } from '../read/reopening-reader.ts'
import { mergeRanges, type SequenceRange } from '../sequence/delivery-range.ts'
import type { ActiveRanges } from './active-ranges.ts'
import type { RangeBatch } from './batch-reader.ts'

/**
 * What the bridge decides of its ranges, between two batches of the live one; each decision is
 * durable when it returns. ARCHITECTURE.md, The road to Kafka.
 */
export function createDeliveryPlan(
  ranges: ActiveRanges,
  outbox: ReturnType<typeof createReopeningReader>,
  { addNotes }: Inbox,
) {
  const chosenBy = createZoneMatcher()
  const stored = () => outbox.readOrElse(null, from => from.lastSequence ?? 0)
  const nextLive = () => ranges.open?.next
  return {
    /** Notes which of the numbers that come later still will: none that another inbox told of. */
    recordContact(store: Buffer): void {
      const behind = ranges.undelivered.map(parseDeferral).filter(({ why }) => why !== undefined)
      addNotes([{ kind: 'contact', content: { store: store.toString('hex'), behind } }])
    },
    /** What of a zone, or of all, is not yet delivered, in order. */
    undelivered: (zone?: string): SequenceRange[] => {
      const isOfZone = (range: Range) => zone === undefined || (chosenBy(range)?.(zone) ?? true)
      return mergeRanges(ranges.undelivered.filter(isOfZone))
    },
    /** How much waits of what is live, and how old the oldest of it is. */
    liveBacklog: () => outbox.readOrElse(null, from => from.backlog(ranges.live, Date.now())),
    /** Makes what is stored now and not delivered a backlog, which goes to `topic`. */
    splitBacklog(topic: string): void {
      const [last, next] = [stored(), ranges.live[0]?.next]
      if (last !== null && next !== undefined && last >= next) ranges.splitBacklog(last, topic)
    },
    /** What is carried on its own, because the others would wait for it. */
    get isolated(): readonly Range[] {
      return ranges.isolated
    },
    /** Whether partitions of what was taken may get a range of their own. */
    canIsolate: ({ range }: RangeBatch) => range.end === null && ranges.live.length === 1,
    /**
     * Gives partitions of what was taken a range of their own, because nobody knows what became of
     * their part of it; the rest of it is settled.
     */
    isolate: ({ range, next }: RangeBatch, partitions: number[]): Range =>
      ranges.isolate(range, next, partitions),
    /** How many numbers a range apart is behind the live one. */
    lagOf: ({ next }: Range): number => (nextLive() ?? next) - next,
    /** What waits in a range apart, at most: others may have had some of it. */
    backlogOf: ({ next }: Range) => {
      const end = (nextLive() ?? next) - 1
      return outbox.readOrElse(null, from => from.backlog([{ next, end }], Date.now()))
    },
    /** Makes a range apart a part of the live one again; it must have come as far. */
    mergeIsolated: ranges.mergeIsolated,
    /** Joins it where the live one stands, and makes what it lacks a backlog. */
    deferIsolated: ranges.deferIsolated,
    /**
     * Spreads what is stored from now on over another number of partitions, durably; gives the
     * first number that it is of, or null while the outbox cannot be read.
     */
    changePartitions(partitions: number): number | null {
      const last = stored()
      return last === null ? null : ranges.changePartitions(last, partitions)
    },
  }
}
