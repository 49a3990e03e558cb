import type { SensorReading } from '../../../config/events.ts'
import type { Point } from './piece.ts'
import { type SeriesAbout, type SeriesName, seriesKey } from './series.ts'

/** Beyond this a value is taken for a fault: sums of such values mean nothing any more. */
const VALUE_MAX = 1e15
/** A device's clock may be ahead of its gateway's so far, and a reading so old. */
const DEVICE_AHEAD_MAX_MS = 60_000
const DEVICE_BEHIND_MAX_MS = 86_400_000
/** The gateway's time may be so far from that at which Kafka got the event, into the future. */
const GATEWAY_AHEAD_MAX_MS = 86_400_000

/** A point on its way to its series. */
export type Planned = { key: string; name: SeriesName; about: SeriesAbout; point: Point }
/** What an event comes to: points, and how many values were faults. */
export type Plan = { points: Planned[]; absurd: number }

/**
 * When a reading was: the device's own time where it can be believed, else the gateway's, put right
 * by `offsetMs`. Throws where that is impossible: the gateway says it was sure, and it is not.
 */
export function timeOf(
  { observedAt, receivedAt }: SensorReading,
  offsetMs: number,
  heardAt: number,
): number {
  const base = receivedAt + offsetMs
  if (base > heardAt + GATEWAY_AHEAD_MAX_MS || base < 0) {
    throw new Error(`its time, ${base} ms since 1970, is absurd: Kafka heard it at ${heardAt}`)
  }
  const isBelievable =
    observedAt !== null &&
    observedAt <= base + DEVICE_AHEAD_MAX_MS &&
    observedAt >= base - DEVICE_BEHIND_MAX_MS
  return isBelievable ? observedAt : base
}

/** The points of an event at a moment: numbers, and flags as 0 and 1; texts are none. */
export function planOf({ site, zone, device, measurements }: SensorReading, at: number): Plan {
  const plan: Plan = { points: [], absurd: 0 }
  for (const { metric, number, flag, unit } of measurements) {
    const value = number ?? (flag === null ? null : Number(flag))
    if (value === null) continue
    if (!(Math.abs(value) <= VALUE_MAX)) {
      plan.absurd++
      continue
    }
    const name = { site, zone, device, metric }
    const about: SeriesAbout = { unit, kind: number === null ? 'flag' : 'number' }
    plan.points.push({ key: seriesKey(name), name, about, point: { at, value } })
  }
  return plan
}
