const CHECK_EVERY_MS = 2000
const GARBAGE_MAX_BYTES = 3_000_000
/** The largest fraction of time for collections: on a slow machine they run less often. */
const COLLECTING_FRACTION_MAX = 0.01

/**
 * Keeps this thread's heap close to the size of its live objects. V8 collects its old space only
 * after it has grown several times, which suits a machine with much memory; an edge device has
 * 512 MB for everything. A collection takes about 10 ms, so it runs only after enough garbage has
 * accumulated. Needs the launcher's --expose-gc; without that flag this function does nothing.
 */
export function keepHeapSmall(): void {
  const collect = globalThis.gc
  if (!collect) return
  const usedBytes = () => {
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  collect()
  let liveBytes = usedBytes()
  const check = () => {
    const startedMs = performance.now()
    // Array buffers still count for a while after a collection: they are freed later.
    liveBytes = Math.min(liveBytes, usedBytes())
    if (usedBytes() >= liveBytes + GARBAGE_MAX_BYTES) {
      collect()
      liveBytes = usedBytes()
    }
    const tookMs = performance.now() - startedMs
    setTimeout(check, Math.max(CHECK_EVERY_MS, tookMs / COLLECTING_FRACTION_MAX)).unref()
  }
  setTimeout(check, CHECK_EVERY_MS).unref()
}
