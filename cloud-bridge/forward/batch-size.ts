/** An acknowledgement that takes longer than this makes the next batch smaller. */
export const BATCH_GOAL_MS = 1000
const MIN_EVENTS = 100

export type BatchLimits = { batchMaxEvents: number; batchMaxBytes: number }

/**
 * Adapts the size of a batch to the uplink. A full batch that is acknowledged within BATCH_GOAL_MS
 * doubles the size up to the limits; a batch that takes longer halves the size, so that over a
 * narrow uplink no batch outlasts the timeout of its request.
 */
export function createBatchSize(limits: BatchLimits) {
  const minEvents = Math.min(MIN_EVENTS, limits.batchMaxEvents)
  const minFraction = minEvents / limits.batchMaxEvents
  let fraction = Math.min(1, 10 * minFraction)
  return {
    get maxEvents(): number {
      return Math.ceil(limits.batchMaxEvents * fraction)
    },
    get maxBytes(): number {
      return Math.ceil(limits.batchMaxBytes * fraction)
    },
    /**
     * `isFull`: the batch reached a limit, so more events probably wait. `tookMs`: the time from
     * the send to its acknowledgement.
     */
    acknowledged(isFull: boolean, tookMs: number): void {
      if (tookMs > BATCH_GOAL_MS) fraction = Math.max(minFraction, fraction / 2)
      else if (isFull) fraction = Math.min(1, fraction * 2)
    },
  }
}
