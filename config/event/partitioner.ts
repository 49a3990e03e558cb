const SEED = 0x9747b28c
const MULTIPLIER = 0x5bd1e995

/**
 * The partition of a zone among `count`, as Kafka's Java producer computes it for the same key:
 * murmur2, made positive, modulo count. The partition changes only when `count` changes.
 */
export function partitionOf(key: Uint8Array, count: number): number {
  return (murmur2(key) & 0x7fffffff) % count
}

/** MurmurHash2, 32 bit, with Kafka's seed (org.apache.kafka.common.utils.Utils.murmur2). */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  let hash = SEED ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let k = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    k = Math.imul(k, MULTIPLIER)
    k = Math.imul(k ^ (k >>> 24), MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ k
  }
  const rest = length - at
  if (rest >= 3) hash ^= bytes[at + 2]! << 16
  if (rest >= 2) hash ^= bytes[at + 1]! << 8
  if (rest >= 1) hash = Math.imul(hash ^ bytes[at]!, MULTIPLIER)
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER)
  return hash ^ (hash >>> 15)
}

/**
 * Creates a function that caches the key bytes and the partition of each zone, to avoid one hash
 * for each event.
 */
export function createPartitioner(count: number) {
  const cache = new Map<string, { key: Buffer; partition: number }>()
  return (zone: string): { key: Buffer; partition: number } => {
    let target = cache.get(zone)
    if (!target) {
      const key = Buffer.from(zone)
      target = { key, partition: partitionOf(key, count) }
      if (cache.size >= 100_000) cache.clear()
      cache.set(zone, target)
    }
    return target
  }
}
