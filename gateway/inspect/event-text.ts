import type { Measurement, SensorReading } from '../../config/event/sensor-reading.ts'
import { printable, timeText } from '../../config/process/text-format.ts'
import type { ZoneRange } from '../store/groups/group-codec.ts'

/** An event on one line: when it was received, its number, where it is from, what was measured. */
export function eventLine(event: SensorReading): string {
  const { receivedAt, sequence, site, zone, device, clock, observedAt, measurements } = event
  const from = printable([site, zone, device].join('/'))
  const measured = measurements.map(measurementText).join('  ') || 'nothing measured'
  const trust = clock === 'SYNCED' ? '' : `  (clock ${clock})`
  const observed = observedAt === null ? '' : `  (observed ${timeText(observedAt)})`
  return `${timeText(receivedAt)}  #${sequence}  ${from}  ${measured}${observed}${trust}`
}

function measurementText({ metric, number, flag, text, unit }: Measurement): string {
  const value = text === null ? String(number ?? flag) : `"${printable(text)}"`
  return `${printable(metric)}=${value}${unit === null ? '' : ` ${printable(unit)}`}`
}

/** How an operator reads that a group cannot be read: which, why, and what was in it. */
export function unreadableLine(sequence: number, reason: string, zones?: ZoneRange[]): string {
  const which = (zones ?? []).map(
    ({ zone, first, count }) => `${printable(zone)} ${first}-${first + count - 1}`,
  )
  const lost = which.length > 0 ? ` (zone sequences ${which.join(', ')})` : ''
  return `the group from #${sequence} on cannot be read: ${reason}${lost}`
}

export const missingEventsLine = (from: number, to: number) =>
  `${to - from + 1} events are not in the outbox any more: #${from} to #${to}`
