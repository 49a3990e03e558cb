/** From which wait to which, in ms. */
export type Backoff = { firstMs: number; maxMs: number }

/**
 * How long to wait before try `failures` + 1, in ms: doubling from `firstMs` to `maxMs`, of which
 * a random half is taken away, so that many bridges do not come back at the same moment ("equal
 * jitter", Brooker, AWS Architecture Blog 2015). `random` gives numbers from 0 to 1.
 */
export function backoffMs(
  failures: number,
  { firstMs, maxMs }: Backoff,
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(failures, 30))
  return ceiling / 2 + (ceiling / 2) * random()
}
