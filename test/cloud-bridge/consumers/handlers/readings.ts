import { goldenEvent } from '../../../config/event/events-fixture.ts'

const START = Date.UTC(2026, 10, 23, 20)
const MINUTE_MS = 60_000

/**
 * A device's reading of one metric. A device has one reading a minute; the minute is the zone
 * sequence.
 */
export function readingOf(
  { site = 'hq', zone = 'z1', device = 'd1' },
  minute: number,
  metric: 'people' | 'energy_kwh',
  number: number,
) {
  const measurements = [{ metric, number, flag: null, text: null, unit: null }]
  const time = { receivedAt: START + minute * MINUTE_MS, observedAt: null }
  const id = `${site}-${zone}-${minute}`
  return { ...goldenEvent, ...time, id, site, zone, device, zoneSequence: minute, measurements }
}

export const minuteAt = (minute: number) => START + minute * MINUTE_MS
