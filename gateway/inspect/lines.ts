import type { Measurement, SensorReading } from '../../config/events.ts'
import type { ZoneRange } from '../store/group.ts'

/** What a terminal would obey instead of showing: control and format characters, odd line ends. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** A text of a device as one line that is safe on a terminal: `\u{1b}` for an escape. */
export function printable(text: string): string {
  return text.replace(UNSEEN, unseen => `\\u{${unseen.codePointAt(0)!.toString(16)}}`)
}

/** A moment in ms since 1970 as ISO 8601 in UTC, or the number where a calendar ends. */
export function moment(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`
}

/** An event on one line: when it was received, its number, where it is from, what was measured. */
export function eventLine(event: SensorReading): string {
  const { receivedAt, sequence, site, zone, device, clock, observedAt, measurements } = event
  const from = printable([site, zone, device].join('/'))
  const measured = measurements.map(measurementText).join('  ') || 'nothing measured'
  const trust = clock === 'SYNCED' ? '' : `  (clock ${clock})`
  const observed = observedAt === null ? '' : `  (observed ${moment(observedAt)})`
  return `${moment(receivedAt)}  #${sequence}  ${from}  ${measured}${observed}${trust}`
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

export const goneLine = (from: number, to: number) =>
  `${to - from + 1} events are not in the outbox any more: #${from} to #${to}`

/** A number of things, in words. */
export const amount = (count: number, one: string, many = `${one}s`) =>
  `${count} ${count === 1 ? one : many}`
