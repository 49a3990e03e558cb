import { createZoneOffset } from '../../../../config/syntax/time-zones.ts'

const DAY_MS = 86_400_000
/** All windows of at most this length have the same bounds in every time zone. */
const QUARTER_MS = 900_000
/** A local day begins at most so long before or after the same day of UTC. */
const OFFSET_MAX_MS = 20 * 3_600_000
const TIME_MAX_MS = 8.64e15

/**
 * The bounds of windows in one time zone, by their length in ms. Windows of a day or more have
 * whole local days, so a day of a change of the clocks has 23 or 25 hours. Shorter windows count
 * from local midnight, and the last window of a day ends with the day. So windows always consist of
 * whole windows of each shorter size. In UTC windows begin at multiples of their length.
 */
export type Calendar = {
  readonly timeZone: string
  /** The start of the window that contains a moment, both in ms since 1970. */
  startOf(lengthMs: number, at: number): number
  /** The end of the window that starts at `start`. */
  endOf(lengthMs: number, start: number): number
}

export const utcCalendar: Calendar = {
  timeZone: 'UTC',
  startOf: (lengthMs, at) => Math.floor(at / lengthMs) * lengthMs,
  endOf: (lengthMs, start) => start + lengthMs,
}

/** Throws RangeError for an unknown time zone. */
export function createCalendar(timeZone: string): Calendar {
  if (timeZone === 'UTC') return utcCalendar
  const offsetAt = createZoneOffset(timeZone)
  const starts = new Map<number, number>()
  const clamped = (at: number) => Math.max(-TIME_MAX_MS, Math.min(TIME_MAX_MS, at))
  const localDayOf = (at: number) => Math.floor((at + offsetAt(clamped(at))) / DAY_MS)
  /** The first quarter of an hour of a local day, counted in days since 1970. */
  const startOfDay = (day: number): number => {
    const known = starts.get(day)
    if (known !== undefined) return known
    let low = Math.floor((day * DAY_MS - OFFSET_MAX_MS) / QUARTER_MS)
    let high = Math.floor((day * DAY_MS + OFFSET_MAX_MS) / QUARTER_MS)
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (localDayOf(middle * QUARTER_MS) >= day) high = middle
      else low = middle + 1
    }
    starts.set(day, low * QUARTER_MS)
    return low * QUARTER_MS
  }
  const current = { day: Number.NaN, start: 0, end: 0 }
  /** The local day that contains a moment. Most moments are in the day of the moment before. */
  const dayOf = (at: number) => {
    if (at >= current.start && at < current.end) return current
    let day = localDayOf(at)
    // Clocks that are put back at midnight repeat a part of the day before.
    while (startOfDay(day) > at) day--
    while (startOfDay(day + 1) <= at) day++
    return Object.assign(current, { day, start: startOfDay(day), end: startOfDay(day + 1) })
  }
  return {
    timeZone,
    startOf(lengthMs, at) {
      if (lengthMs <= QUARTER_MS) return utcCalendar.startOf(lengthMs, at)
      const { day, start } = dayOf(at)
      if (lengthMs < DAY_MS) return start + utcCalendar.startOf(lengthMs, at - start)
      return startOfDay(utcCalendar.startOf(lengthMs / DAY_MS, day))
    },
    endOf(lengthMs, start) {
      if (lengthMs <= QUARTER_MS) return start + lengthMs
      const { day, end } = dayOf(start)
      return lengthMs < DAY_MS
        ? Math.min(start + lengthMs, end)
        : startOfDay(day + Math.floor(lengthMs / DAY_MS))
    },
  }
}

/** The time zones of sites, as configured. */
export type SiteTimeZones = {
  /** The time zone of all other sites. */
  timeZone: string
  siteTimeZones: readonly { site: string; timeZone: string }[]
}

/** The calendars of all sites. */
export type Calendars = { of(site: string): Calendar; readonly zones: SiteTimeZones }

export function createCalendars({ timeZone, siteTimeZones }: SiteTimeZones): Calendars {
  const common = createCalendar(timeZone)
  const bySite = new Map(
    siteTimeZones.map(({ site, timeZone }) => [site, createCalendar(timeZone)]),
  )
  return {
    zones: { timeZone, siteTimeZones },
    of: site => bySite.get(site) ?? common,
  }
}
