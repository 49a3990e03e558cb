/** When the n-th message of a run is due, ms after its start; everything at once at Infinity. */
export function dueAtMs(n: number, ratePerSecond: number): number {
  return ratePerSecond === Number.POSITIVE_INFINITY ? 0 : (n * 1000) / ratePerSecond
}

/** How many messages are due before a moment of the run; Infinity when there is no rate. */
export function dueBefore(elapsedMs: number, ratePerSecond: number): number {
  if (ratePerSecond === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
  return Math.ceil((Math.max(0, elapsedMs) * ratePerSecond) / 1000)
}
