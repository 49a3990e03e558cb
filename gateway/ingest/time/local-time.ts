import { createZoneOffset } from '../../../config/syntax/time-zones.ts'

/** Wall times are cached by quarter of an hour: offsets change at such times only. */
const BUCKET_MS = 900_000
const BUCKETS_MAX = 1000
const DAY_MS = 86_400_000

/**
 * Returns the function that converts wall times of an IANA time zone to ms since 1970. `wallMs` is
 * the wall time as if it were UTC. In the hour that a zone repeats, the moment nearer to `nearMs`
 * counts. Returns null for a wall time that a zone skips. Throws RangeError for an unknown zone.
 */
export function createLocalTime(
  timeZone: string,
): (wallMs: number, nearMs: number) => number | null {
  const offsetAt = createZoneOffset(timeZone)
  const offsetsByBucket = new Map<number, number[]>()

  /** The offsets under which a zone shows the wall time. */
  const offsetsOf = (wallMs: number): number[] => {
    const around = [offsetAt(wallMs - DAY_MS), offsetAt(wallMs + DAY_MS)]
    return [...new Set(around)].filter(offset => offsetAt(wallMs - offset) === offset)
  }
  return (wallMs, nearMs) => {
    const bucket = Math.floor(wallMs / BUCKET_MS)
    let offsets = offsetsByBucket.get(bucket)
    if (!offsets) {
      offsets = offsetsOf(bucket * BUCKET_MS)
      if (offsetsByBucket.size >= BUCKETS_MAX) offsetsByBucket.clear()
      offsetsByBucket.set(bucket, offsets)
    }
    const distance = (ms: number) => Math.abs(ms - nearMs)
    const moments = offsets.map(offset => wallMs - offset)
    return moments.sort((a, b) => distance(a) - distance(b))[0] ?? null
  }
}
