const LOOK_EVERY_MS = 2000
const GARBAGE_MAX_BYTES = 3_000_000

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
  setInterval(() => {
    // right after a collection, array buffers still count for a while: they are freed behind it
    living = Math.min(living, used())
    if (used() < living + GARBAGE_MAX_BYTES) return
    collect()
    living = used()
  }, LOOK_EVERY_MS).unref()
}
