/** Keeps to a bandwidth: tells after each batch how long to rest. Null: no limit. */
export function startPacing(maxBytesPerSecond: number | null, nowMs = () => performance.now()) {
  let freeAtMs = Number.NEGATIVE_INFINITY
  return {
    sent(bytes: number): void {
      if (maxBytesPerSecond === null) return
      // Time that was not used is not saved up: it would end in a burst.
      freeAtMs = Math.max(freeAtMs, nowMs()) + (bytes * 1000) / maxBytesPerSecond
    },
    get restMs(): number {
      return Math.max(0, freeAtMs - nowMs())
    },
  }
}
