import type { Measurement, SensorReading } from '../../../../config/event/sensor-reading.ts'
import type { SeriesAttributes } from '../model/series.ts'

/** A value of larger magnitude counts as implausible: sums of such values lose all precision. */
const VALUE_MAX = 1e15
/** How far a device's clock may be ahead of the gateway's clock, and how old a reading may be. */
const DEVICE_AHEAD_MAX_MS = 60_000
const READING_AGE_MAX_MS = 86_400_000
/** How far the gateway's time may be ahead of the time at which Kafka appended the event. */
const GATEWAY_AHEAD_MAX_MS = 86_400_000

/**
 * The event time of a reading, in ms since 1970: the device's own time when it is plausible, else
 * the gateway's time corrected by `offsetMs`. Throws when the gateway's corrected time is
 * impossible.
 */
export function eventTimeOf(
  { observedAt, receivedAt }: SensorReading,
  offsetMs: number,
  appendTimeMs: number,
): number {
  const gatewayTime = receivedAt + offsetMs
  if (gatewayTime > appendTimeMs + GATEWAY_AHEAD_MAX_MS || gatewayTime < 0) {
    const valid = `0 to a day after Kafka's append time ${appendTimeMs}`
    throw new Error(`event time ${gatewayTime} ms since 1970 is impossible; valid is ${valid}`)
  }
  const isPlausible =
    observedAt !== null &&
    observedAt <= gatewayTime + DEVICE_AHEAD_MAX_MS &&
    observedAt >= gatewayTime - READING_AGE_MAX_MS
  return isPlausible ? observedAt : gatewayTime
}

/** The metrics with which a simulated device numbers its messages. They never become series. */
export const simulatorMetrics: ReadonlySet<string> = new Set(['simulated_run', 'simulated_number'])

/**
 * The numeric value of a measurement; flags count as 0 and 1. Null for a text, no value or a number
 * of the simulator, NaN for an implausible value.
 */
export function numericValueOf({ metric, number, flag }: Measurement): number | null {
  if (simulatorMetrics.has(metric)) return null
  if (number === null) return flag === null ? null : Number(flag)
  return Math.abs(number) <= VALUE_MAX ? number : Number.NaN
}

/** The attributes of the series that begins with this measurement. */
export function seriesAttributesOf({ number, unit }: Measurement): SeriesAttributes {
  return { unit, kind: number === null ? 'flag' : 'number' }
}
