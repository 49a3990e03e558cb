import { describe, expect, it } from 'vitest'
import {
  createCalendar,
  createCalendars,
} from '../../../../../cloud-bridge/consumers/analytics/model/calendar.ts'
import { timeZoneFault } from '../../../../../config/syntax/time-zones.ts'

const [QUARTER_MS, HOUR_MS, DAY_MS] = [900_000, 3_600_000, 86_400_000]
const at = (text: string) => Date.parse(text)
const iso = (ms: number) => new Date(ms).toISOString()

describe('a calendar', () => {
  it.each([
    ['Europe/Berlin', '2026-10-25T12:00Z', '2026-10-24T22:00:00.000Z', 25],
    ['Europe/Berlin', '2026-03-29T00:30Z', '2026-03-28T23:00:00.000Z', 23],
    ['Europe/Berlin', '2026-07-01T22:00Z', '2026-07-01T22:00:00.000Z', 24],
    ['Asia/Kolkata', '2026-07-01T18:29Z', '2026-06-30T18:30:00.000Z', 24],
    ['Australia/Lord_Howe', '2026-04-05T00:00Z', '2026-04-04T13:00:00.000Z', 24.5],
    // The clocks go from 0:00 to 1:00, so the day begins at 1:00.
    ['America/Santiago', '2026-09-06T12:00Z', '2026-09-06T04:00:00.000Z', 23],
    ['UTC', '2026-10-25T12:00Z', '2026-10-25T00:00:00.000Z', 24],
  ])('has the day of %s around %s', (timeZone, moment, start, hours) => {
    const { startOf, endOf } = createCalendar(timeZone)
    const found = startOf(DAY_MS, at(moment))
    expect([iso(found), (endOf(DAY_MS, found) - found) / HOUR_MS]).toEqual([start, hours])
  })

  it.each([
    'Europe/Berlin',
    'Asia/Kathmandu',
    'Australia/Lord_Howe',
    'America/Havana',
    'Pacific/Apia',
  ])('of %s divides all time into windows of whole shorter windows', timeZone => {
    const { startOf, endOf } = createCalendar(timeZone)
    for (const year of [1971, 2011, 2026]) {
      const end = at(`${year + 1}-01-05T00:00Z`)
      for (let day = startOf(DAY_MS, at(`${year}-01-01T00:00Z`)); day < end; ) {
        const next = endOf(DAY_MS, day)
        let hour = day
        for (; hour < next; hour = endOf(HOUR_MS, hour)) {
          expect(hour % QUARTER_MS).toBe(0)
          expect([startOf(HOUR_MS, hour), startOf(DAY_MS, hour)]).toEqual([hour, day])
          expect(startOf(HOUR_MS, endOf(HOUR_MS, hour) - 1)).toBe(hour)
        }
        expect(hour).toBe(next)
        day = next
      }
    }
  })

  it('has weeks of whole days, and a time zone per site', () => {
    const { of } = createCalendars({
      timeZone: 'Europe/Berlin',
      siteTimeZones: [{ site: 'pune', timeZone: 'Asia/Kolkata' }],
    })
    const week = of('hq').startOf(7 * DAY_MS, at('2026-10-26T12:00Z'))
    expect([iso(week), (of('hq').endOf(7 * DAY_MS, week) - week) / HOUR_MS]).toEqual([
      '2026-10-21T22:00:00.000Z',
      7 * 24 + 1,
    ])
    expect([of('pune').timeZone, of('hq').timeZone]).toEqual(['Asia/Kolkata', 'Europe/Berlin'])
  })

  it('refuses what is no time zone, and offsets that divide a quarter of an hour', () => {
    expect(['UTC', 'Europe/Berlin', 'Asia/Kathmandu'].map(timeZoneFault)).toEqual([
      null,
      null,
      null,
    ])
    for (const name of ['Mars/Base', '+05:30']) expect(timeZoneFault(name)).toBe('is no time zone')
    expect(timeZoneFault('Africa/Monrovia')).toMatch(/no multiple of 15 minutes/)
  })
})
