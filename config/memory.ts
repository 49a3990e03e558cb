import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const LOOK_EVERY_MS = 5000
const GARBAGE_MAX_BYTES = 10_000_000

/**
 * Keeps this thread's heap close to what lives in it. V8 collects its old space only when that has
 * grown several times over, which is right where memory is plenty; an edge device has 512 MB for
 * everything. A collection takes some ten milliseconds, so it runs only when garbage has gathered.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const used = () => {
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  collect()
  let living = used()
  setInterval(() => {
    if (used() < living + GARBAGE_MAX_BYTES) return
    collect()
    living = used()
  }, LOOK_EVERY_MS).unref()
}
