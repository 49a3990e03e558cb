import { rangeKind } from '../delivery/range-kind.ts'
import { createZoneMatcher } from '../delivery/zone-filter.ts'
import type { Inbox, Range } from '../inbox.ts'
import type { createReopeningReader } from '../read/reopening-reader.ts'
import type { ActiveRanges } from './active-ranges.ts'
import { type BatchLimits, type RangeBatch, readBatch } from './batch-reader.ts'
import { createReadAhead } from './read-ahead.ts'

/**
 * Where each carrier takes from: whole groups, oldest first; taking does not remove them. To read
 * ahead, while what was taken is under way, makes taking what is behind it quick.
 */
export function createRangeSources(
  ranges: ActiveRanges,
  outbox: ReturnType<typeof createReopeningReader>,
  { addNotes, recordRead }: Inbox,
) {
  const { advance: move } = ranges
  const chosenBy = createZoneMatcher()
  type Ahead = ReturnType<typeof createReadAhead>
  const takeOf = (some: Range[], limits: BatchLimits, ahead: Ahead): RangeBatch | null =>
    outbox.readOrElse(null, from => {
      for (const range of some) {
        const taken = readBatch(
          ahead.wrap(from),
          { advance: move, addNotes, chosenBy },
          range,
          limits,
        )
        recordRead(range.store, { sequence: Math.max(range.next, taken?.next ?? 0) - 1 })
        if (taken) return taken
        // What is behind another waits for it, though that may not be readable for a moment.
        if (rangeKind(range) !== 'replay') break
      }
      return null
    })
  /** Moves the range on behind what Kafka has; durable within a second or at close. */
  const advanceRange = ({ range, next }: RangeBatch) => move(range, next)
  const sourceOf = (some: () => Range[], last = () => Number.MAX_SAFE_INTEGER) => {
    const ahead = createReadAhead()
    return {
      readBatch: (limits: BatchLimits) => takeOf(some(), { ...limits, last: last() }, ahead),
      readAhead: ({ next }: RangeBatch, limits: BatchLimits) =>
        outbox.readOrElse(undefined, from => ahead.read(from, next, limits)),
      advance: advanceRange,
    }
  }
  return {
    /** What goes to the readings. */
    ...sourceOf(() => ranges.live),
    /** What goes behind live data. */
    backfill: {
      ...sourceOf(() => ranges.backfill),
      /** Another topic is configured now: what was meant for one before goes there, too. */
      redirect: ranges.redirectBackfill,
    },
    /** A range apart, which never goes further than the live one. */
    isolated: (id: number) =>
      sourceOf(
        () => ranges.isolated.filter(one => one.id === id),
        () => (ranges.open?.next ?? 1) - 1,
      ),
  }
}
