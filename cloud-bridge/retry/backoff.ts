/** The first and the longest wait of a back-off, in ms. */
export type Backoff = { firstMs: number; maxMs: number }

/**
 * Returns the wait before attempt `failures` + 1, in ms: the wait doubles from `firstMs` to `maxMs`
 * and loses a random half, so that many bridges do not retry at the same moment ("equal jitter",
 * Brooker, AWS Architecture Blog 2015). `random` returns numbers from 0 to 1.
 */
export function backoffMs(
  failures: number,
  { firstMs, maxMs }: Backoff,
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(failures, 30))
  return ceiling / 2 + (ceiling / 2) * random()
}
