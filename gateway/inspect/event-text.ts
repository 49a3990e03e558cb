import type { Measurement, SensorReading } from '../../config/event/sensor-reading.ts'
import { printable, timeText } from '../../config/process/text-format.ts'
import type { ZoneRange } from '../store/groups/group-codec.ts'

/** Formats an event as one line: time of receipt, sequence, site/zone/device, and measurements. */
export function eventLine(event: SensorReading): string {
  const { receivedAt, sequence, site, zone, device, clock, observedAt, measurements } = event
  const origin = printable([site, zone, device].join('/'))
  const measured = measurements.map(measurementText).join('  ') || 'nothing measured'
  const trust = clock === 'SYNCED' ? '' : `  (clock ${clock})`
  const observed = observedAt === null ? '' : `  (observed ${timeText(observedAt)})`
  return `${timeText(receivedAt)}  #${sequence}  ${origin}  ${measured}${observed}${trust}`
}

function measurementText({ metric, number, flag, text, unit }: Measurement): string {
  const value = text === null ? String(number ?? flag) : `"${printable(text)}"`
  return `${printable(metric)}=${value}${unit === null ? '' : ` ${printable(unit)}`}`
}

/**
 * The line for a group that cannot be read: its first sequence, the reason, and the zone sequences
 * of its events where they are known.
 */
export function unreadableLine(sequence: number, reason: string, zones?: ZoneRange[]): string {
  const ranges = (zones ?? []).map(
    ({ zone, first, count }) => `${printable(zone)} ${first}-${first + count - 1}`,
  )
  const lost = ranges.length > 0 ? ` (zone sequences ${ranges.join(', ')})` : ''
  return `the group from #${sequence} on cannot be read: ${reason}${lost}`
}

export const missingEventsLine = (from: number, to: number) =>
  `${to - from + 1} events are not in the outbox any more: #${from} to #${to}`
