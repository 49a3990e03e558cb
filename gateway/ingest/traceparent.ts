import type { Measurement } from '../../config/event/sensor-reading.ts'

const METRIC = 'traceparent'
/** W3C Trace Context, "traceparent": version ff is invalid, and so is an id that has only zeros. */
const VALID = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/**
 * Moves the trace context of a message out of its measurements. The trace context is the text
 * `traceparent` at the top level of the payload, as W3C's "Trace Context: MQTT" specifies for MQTT
 * 3.1.1. An invalid traceparent stays a measurement, because nothing that a device sends may be
 * lost.
 */
export function extractTraceparent(measurements: Measurement[]): {
  traceparent: string | null
  measurements: Measurement[]
} {
  const index = measurements.findIndex(({ metric }) => metric === METRIC)
  const text = measurements[index]?.text ?? null
  if (text === null || !VALID.test(text)) return { traceparent: null, measurements }
  return { traceparent: text, measurements: measurements.toSpliced(index, 1) }
}
