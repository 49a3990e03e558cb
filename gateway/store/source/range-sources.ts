import { createZoneMatcher } from '../delivery/zone-filter.ts'
import type { Inbox, Range } from '../inbox.ts'
import type { ReopeningReader } from '../read/reopening-reader.ts'
import type { ActiveRanges } from './active-ranges.ts'
import { type BatchLimits, type RangeBatch, readBatch } from './batch-reader.ts'
import { createReadAhead, type ReadAhead } from './read-ahead.ts'

/**
 * Creates the sources of batches, one source for each forwarder. A batch consists of the events of
 * complete groups, oldest first. Reading a batch does not move the range; call `advance` after the
 * acknowledgement. `readAhead` reads the next batch while the present batch is sent.
 */
export function createRangeSources(
  ranges: ActiveRanges,
  outbox: ReopeningReader,
  { addNotes, recordRead }: Inbox,
) {
  const matcherOf = createZoneMatcher()
  const parts = { advance: ranges.advance, addNotes, matcherOf }
  const readFirst = (
    candidates: Range[],
    limits: BatchLimits,
    readAhead: ReadAhead,
  ): RangeBatch | null =>
    outbox.readOrElse(null, reader => {
      for (const range of candidates) {
        const batch = readBatch(readAhead.wrap(reader), parts, range, limits)
        recordRead(range.store, { sequence: Math.max(range.next, batch?.next ?? 0) - 1 })
        if (batch) return batch
        // Ranges are delivered in order: a later range waits even when nothing can be read from the
        // first range for a moment. Only replays do not wait for each other.
        if (range.kind !== 'replay') break
      }
      return null
    })
  const sourceOf = (candidates: () => Range[], last = () => Number.MAX_SAFE_INTEGER) => {
    const readAhead = createReadAhead()
    return {
      readBatch: (limits: BatchLimits) =>
        readFirst(candidates(), { ...limits, last: last() }, readAhead),
      readAhead: ({ next }: RangeBatch, limits: BatchLimits) =>
        outbox.readOrElse(undefined, reader => readAhead.read(reader, next, limits)),
      /** Moves the range past an acknowledged batch; durable within a second or at close. */
      advance: ({ range, next }: RangeBatch) => ranges.advance(range, next),
    }
  }
  return {
    /** The live events, for the readings topic. */
    ...sourceOf(() => ranges.live),
    /** Backlogs and replays, for the backfill topic. */
    backfill: {
      ...sourceOf(() => ranges.backfill),
      /** Redirects all backlogs and replays to another topic. */
      redirect: ranges.redirectBackfill,
    },
    /** An isolated range, which never overtakes the live range. */
    isolated: (id: number) =>
      sourceOf(
        () => ranges.isolated.filter(range => range.id === id),
        () => (ranges.open?.next ?? 1) - 1,
      ),
  }
}
