const LOOK_EVERY_MS = 2000
const GARBAGE_MAX_BYTES = 3_000_000
/** Of the time: on a slow or a busy machine a collection takes longer, so it comes less often. */
const COLLECTING_SHARE_MAX = 0.01

/**
 * Keeps this thread's heap close to what lives in it. V8 collects its old space only when that has
 * grown several times over, which is right where memory is plenty; an edge device has 512 MB for
 * everything. A collection takes some ten milliseconds, so it runs only when garbage has gathered.
 * The launcher's --expose-gc lets it; without that flag the heap grows as V8 likes.
 */
export function keepHeapSmall(): void {
  const collect = globalThis.gc
  if (!collect) return
  const used = () => {
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  collect()
  let living = used()
  const look = () => {
    const startedMs = performance.now()
    // right after a collection, array buffers still count for a while: they are freed behind it
    living = Math.min(living, used())
    if (used() >= living + GARBAGE_MAX_BYTES) {
      collect()
      living = used()
    }
    const tookMs = performance.now() - startedMs
    setTimeout(look, Math.max(LOOK_EVERY_MS, tookMs / COLLECTING_SHARE_MAX)).unref()
  }
  setTimeout(look, LOOK_EVERY_MS).unref()
}
