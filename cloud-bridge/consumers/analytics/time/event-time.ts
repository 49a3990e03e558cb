import type { Measurement, SensorReading } from '../../../../config/event/sensor-reading.ts'
import type { SeriesAbout } from '../model/series.ts'

/** Beyond this a value is taken for a fault: sums of such values mean nothing any more. */
const VALUE_MAX = 1e15
/** A device's clock may be ahead of its gateway's so far, and a reading so old. */
const DEVICE_AHEAD_MAX_MS = 60_000
const DEVICE_BEHIND_MAX_MS = 86_400_000
/** The gateway's time may be so far from that at which Kafka got the event, into the future. */
const GATEWAY_AHEAD_MAX_MS = 86_400_000

/**
 * When a reading was: the device's own time where it can be believed, else the gateway's, put right
 * by `offsetMs`. Throws where that is impossible: the gateway says it was sure, and it is not.
 */
export function eventTimeOf(
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

/**
 * The value of a measurement: numbers, and flags as 0 and 1; null of a text or nothing, and NaN of
 * what no sensor means.
 */
export function numericValueOf({ number, flag }: Measurement): number | null {
  if (number === null) return flag === null ? null : Number(flag)
  return Math.abs(number) <= VALUE_MAX ? number : Number.NaN
}

/** What stays the same of the series of a measurement. */
export function seriesAboutOf({ number, unit }: Measurement): SeriesAbout {
  return { unit, kind: number === null ? 'flag' : 'number' }
}
