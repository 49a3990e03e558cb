const CHECK_EVERY_MS = 2000
const GARBAGE_MAX_BYTES = 3_000_000
/**
 * The largest fraction of time for garbage collections. A slow machine reaches it sooner, so
 * collections are rarer there.
 */
const COLLECTING_FRACTION_MAX = 0.01

/**
 * Keeps this thread's heap close to the size of its live objects. V8 collects its old space only
 * after that space has grown several times, which suits a machine with much memory; an edge device
 * may have 512 MB for all processes. A collection takes about 10 ms, so a collection runs only
 * after enough garbage has accumulated. Needs the launcher's flag --expose-gc; without the flag
 * this function does nothing.
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
    // For a while after a collection, `usedBytes` still counts array buffers that are freed later.
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
