import type { Measurement } from '../../config/event/sensor-reading.ts'
import type { DecodeFault } from './decoders/json.ts'

export type TimeField = { field: string; unit: 'ms' | 's' | 'us' | 'ns' | 'iso' }

/**
 * Converts a time to milliseconds. Divides by 1e6 and does not multiply by 1e-6, because only 1e6
 * is exact in a double.
 */
const toMs = {
  s: (value: number) => value * 1000,
  ms: (value: number) => value,
  us: (value: number) => value / 1e3,
  ns: (value: number) => value / 1e6,
}
/**
 * The time furthest from 1970, in ms, that the Avro codec encodes and decodes exactly: the year
 * 144,683.
 */
const FURTHEST_MS = 2 ** 52
const DECIMAL = /^-?\d+(\.\d+)?$/
const ISO =
  /^((?:\d{4}|[+-]\d{6})-\d\d-(\d\d))(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/i

/**
 * Moves the device's own time out of a message's measurements, and returns it in ms since 1970. The
 * route names the field of the time and its unit. When the message lacks the field, the time is
 * null. A field whose value is not a time is a fault, because a guess would change data.
 */
export function extractObservedAt(
  measurements: Measurement[],
  time: TimeField | undefined,
): { observedAt: number | null; measurements: Measurement[] } | DecodeFault {
  if (!time) return { observedAt: null, measurements }
  const index = measurements.findIndex(({ metric }) => metric === time.field)
  if (index < 0) return { observedAt: null, measurements }
  const measurement = measurements[index]!
  const ms = time.unit === 'iso' ? isoMs(measurement) : unitMs(measurement, toMs[time.unit])
  if (!(Math.abs(ms) <= FURTHEST_MS)) {
    return { reason: `no time in unit ${time.unit}`, place: time.field }
  }
  return { observedAt: ms, measurements: measurements.toSpliced(index, 1) }
}

function unitMs({ number, text }: Measurement, convert: (value: number) => number): number {
  return Math.round(convert(number ?? (DECIMAL.test(text ?? '') ? Number(text) : Number.NaN)))
}

/**
 * Parses an ISO 8601 time to ms; NaN for any other text. Stricter than Date.parse, which reads
 * "hello 5" as a day in May and 30 February as 1 March.
 */
function isoMs({ text }: Measurement): number {
  const [, date, day] = ISO.exec(text ?? '') ?? []
  const isValid = date !== undefined && new Date(date).getUTCDate() === Number(day)
  return isValid ? Date.parse(text!) : Number.NaN
}
