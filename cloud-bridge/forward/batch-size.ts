/** An acknowledgement that takes longer than this makes the next batch smaller. */
export const BATCH_GOAL_MS = 1000
const LEAST_EVENTS = 100

export type BatchLimits = { batchMaxEvents: number; batchMaxBytes: number }

/**
 * How much to take at once: what waits, but no more than is acknowledged in good time. A full batch
 * that is acknowledged within BATCH_GOAL_MS doubles it up to the limits, one that takes longer
 * halves it, so that over a narrow uplink a batch does not outlast the patience of its request.
 */
export function createBatchSize(limits: BatchLimits) {
  const least = Math.min(LEAST_EVENTS, limits.batchMaxEvents)
  let share = Math.min(1, (10 * least) / limits.batchMaxEvents)
  const leastShare = least / limits.batchMaxEvents
  return {
    get maxEvents(): number {
      return Math.ceil(limits.batchMaxEvents * share)
    },
    get maxBytes(): number {
      return Math.ceil(limits.batchMaxBytes * share)
    },
    /** `isFull`: more was likely there; `tookMs` from sending it to its acknowledgement. */
    acknowledged(isFull: boolean, tookMs: number): void {
      if (tookMs > BATCH_GOAL_MS) share = Math.max(leastShare, share / 2)
      else if (isFull) share = Math.min(1, share * 2)
    },
  }
}
