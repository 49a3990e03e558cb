/** A source of random numbers that a seed determines. */
export type Random = ReturnType<typeof createRandom>

/**
 * Creates a source of random numbers: Mulberry32, a generator with 32 bits of state by Tommy
 * Ettinger. Equal seeds give equal numbers.
 */
export function createRandom(seed: number) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  /** A whole number from 0 to `limit` - 1. */
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    below,
    chance: (probability: number) => next() < probability,
    pick: <T>(items: readonly T[]): T => items[below(items.length)]!,
    /** A whole number from 1 to `most`; small numbers are as frequent as large ones. */
    size: (most: number) => Math.max(1, Math.floor(most ** next())),
    bytes: (count: number) => Buffer.from(Array.from({ length: count }, () => below(256))),
  }
}

/** The seed of one item of a run, so that an item can be repeated alone. */
export const seedOf = (seed: number, item: number) => (Math.imul(seed, 0x9e3779b1) ^ item) >>> 0
