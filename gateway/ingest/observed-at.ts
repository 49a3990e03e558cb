import type { Measurement } from '../../config/events.ts'
import type { Unreadable } from './decoders/json.ts'

export type TimeField = { field: string; unit: 'ms' | 's' | 'us' | 'ns' | 'iso' }

const MS_PER = { ms: 1, s: 1000, us: 1e-3, ns: 1e-6 }
/** The furthest moment that a JavaScript Date, and so most readers of the event, can hold. */
const FURTHEST_MS = 8.64e15

/**
 * Takes the device's own time out of its measurements, as its route says where it stands. Without
 * the field the time is null; a field that is no time is a fault, because guessing would change it.
 */
export function observedAt(
  measurements: Measurement[],
  time: TimeField | undefined,
): { observedAt: number | null; measurements: Measurement[] } | Unreadable {
  if (!time) return { observedAt: null, measurements }
  const index = measurements.findIndex(({ metric }) => metric === time.field)
  if (index < 0) return { observedAt: null, measurements }
  const { number, text } = measurements[index]!
  const ms =
    time.unit === 'iso'
      ? Date.parse(text ?? '')
      : Math.floor(Number(number ?? (text || Number.NaN)) * MS_PER[time.unit])
  if (!(Math.abs(ms) <= FURTHEST_MS)) {
    return { reason: `no time in unit ${time.unit}`, place: time.field }
  }
  return { observedAt: ms, measurements: measurements.toSpliced(index, 1) }
}
