/**
 * Reproducible random numbers: a stream (`mulberry32`) for plans, and draws by address (`drawAt`)
 * for everything that happens in time. The draw for (device, metric, minute) is the same in
 * whatever order draws are made, which a stream cannot promise.
 */

/** The finaliser of mulberry32 (Tommy Ettinger, 2017): 32 bits in, [0, 1) out. */
function scatter(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 15), bits | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

/** A stream of numbers in [0, 1) with period 2^32; the same seed gives the same stream. */
export function mulberry32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    return scatter(state)
  }
}

/** The finaliser of MurmurHash3 (Austin Appleby): every input bit affects every output bit. */
function avalanche(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

/** The random number in [0, 1) of a key and up to three whole numbers. */
export function drawAt(key: number, a: number, b = 0, c = 0): number {
  const first = avalanche(key ^ Math.imul(a, 0x9e3779b1))
  const second = avalanche(first ^ Math.imul(b, 0x85ebca77))
  return scatter(avalanche(second ^ Math.imul(c, 0xc2b2ae3d)))
}

/** Noise with mean 0 and standard deviation 1, always between -3 and 3: a sum of three draws. */
export function noiseAt(key: number, a: number, b = 0): number {
  return 2 * (drawAt(key, a, b, 1) + drawAt(key, a, b, 2) + drawAt(key, a, b, 3) - 1.5)
}

/** A 32-bit hash of a text and a seed: FNV-1a over the UTF-16 units, then `avalanche`. */
export function keyOf(seed: number, text: string): number {
  let hash = 0x811c9dc5 ^ avalanche(seed)
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  }
  return avalanche(hash)
}
