import type { Measurement } from '../../config/event/sensor-reading.ts'

const METRIC = 'traceparent'
/** W3C Trace Context, "traceparent": version ff may not be, nor an id of zeros. */
const VALID = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/**
 * Takes the trace that a message is part of out of its measurements: the text `traceparent` at the
 * top of the payload, where W3C's "Trace Context: MQTT" has it for MQTT 3.1.1. What stands there
 * and is none stays a measurement, because nothing that a device says may vanish.
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
