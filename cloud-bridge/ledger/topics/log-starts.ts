import type { ReadRecord } from '../../ports/event-stream.ts'
import type { createLedger } from '../ledger.ts'

/**
 * Records in the ledger from when on each partition still has its records. `begin` is to be called
 * before the first record of a partition, `record` with each record before the record is added.
 */
export function createStartRecorder(
  ledger: ReturnType<typeof createLedger>,
  topics: { ledger: string; readings: string; deadletters?: string },
) {
  /** The partitions whose next record is the oldest, and whether older records were deleted. */
  const atStart = new Map<string, boolean>()
  const set = (topic: string, partition: number, appendTimeMs: number) => {
    if (topic === topics.ledger) ledger.setNoteLogStart(partition, appendTimeMs)
    else if (topic === topics.readings) ledger.setLogStart(partition, appendTimeMs)
    else if (topic === topics.deadletters) ledger.setDeadLetterLogStart(partition, appendTimeMs)
    else ledger.setBackfillLogStart(partition, appendTimeMs)
  }
  return {
    /** A partition's oldest record has this offset; `isEmpty`: there is no record. */
    begin(topic: string, partition: number, at: { offset: number; isEmpty: boolean }): void {
      const isTruncated = at.offset > 0
      atStart.set(`${topic} ${partition}`, isTruncated)
      if (isTruncated && at.isEmpty) set(topic, partition, Number.POSITIVE_INFINITY)
    },
    record(topic: string, { partition, appendTimeMs }: ReadRecord): void {
      const key = `${topic} ${partition}`
      const isTruncated = atStart.get(key)
      if (isTruncated === undefined) return
      atStart.delete(key)
      if (isTruncated) set(topic, partition, appendTimeMs)
      // For a topic of events, the ledger must also know that a partition lost no record.
      else if (topic !== topics.ledger && topic !== topics.deadletters) {
        set(topic, partition, Number.NEGATIVE_INFINITY)
      }
    },
  }
}
