import type { Measurement } from '../../config/event/sensor-reading.ts'
import type { DecodeFault } from './decoders/json.ts'

export type TimeField = { field: string; unit: 'ms' | 's' | 'us' | 'ns' | 'iso' }

/** How many milliseconds a number of units is; divided, because 1e-6 is not exact and 1e6 is. */
const MS_OF = {
  s: (value: number) => value * 1000,
  ms: (value: number) => value,
  us: (value: number) => value / 1e3,
  ns: (value: number) => value / 1e6,
}
/** The furthest moment that the Avro codec writes exactly in both directions: the year 144,683. */
const FURTHEST_MS = 2 ** 52
const DECIMAL = /^-?\d+(\.\d+)?$/
const ISO =
  /^((?:\d{4}|[+-]\d{6})-\d\d-(\d\d))(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/i

/**
 * Takes the device's own time out of its measurements, as its route says where it stands. Without
 * the field the time is null; a field that is no time is a fault, because guessing would change it.
 */
export function extractObservedAt(
  measurements: Measurement[],
  time: TimeField | undefined,
): { observedAt: number | null; measurements: Measurement[] } | DecodeFault {
  if (!time) return { observedAt: null, measurements }
  const index = measurements.findIndex(({ metric }) => metric === time.field)
  if (index < 0) return { observedAt: null, measurements }
  const found = measurements[index]!
  const ms = time.unit === 'iso' ? isoMs(found) : unitMs(found, MS_OF[time.unit])
  if (!(Math.abs(ms) <= FURTHEST_MS)) {
    return { reason: `no time in unit ${time.unit}`, place: time.field }
  }
  return { observedAt: ms, measurements: measurements.toSpliced(index, 1) }
}

function unitMs({ number, text }: Measurement, msOf: (value: number) => number): number {
  return Math.round(msOf(number ?? (DECIMAL.test(text ?? '') ? Number(text) : Number.NaN)))
}

/** Stricter than Date.parse, which takes "hello 5" for a day in May and 30 February for 1 March. */
function isoMs({ text }: Measurement): number {
  const [, date, day] = ISO.exec(text ?? '') ?? []
  const isThere = date !== undefined && new Date(date).getUTCDate() === Number(day)
  return isThere ? Date.parse(text!) : Number.NaN
}
