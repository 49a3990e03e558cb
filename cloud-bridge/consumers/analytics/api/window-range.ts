import type { Calendar, Calendars } from '../model/calendar.ts'
import type { ApiWindowSize } from './query.ts'
import type { ListedSeries } from './series-list.ts'

/** What all answers depend on. */
export type ApiContext = {
  /**
   * The longest time for which a value counts when no further value follows, in ms. Must be the
   * same as for the aggregation.
   */
  holdMaxMs: number
  /** The calendars with which the windows are stored. */
  calendars: Calendars
}

/**
 * Selects the windows of a size that overlap the time from `from` (included) to `to` (excluded),
 * both in ms since 1970.
 */
export type WindowRange<S extends ApiWindowSize = ApiWindowSize> = {
  size: S
  from: number
  to: number
  /** The calendar of the windows; null: that of each series' site. */
  calendar: Calendar | null
}

/** The calendar in which the windows of a series are asked for. */
export const calendarFor = (
  { name }: ListedSeries,
  { calendar }: Pick<WindowRange, 'calendar'>,
  { calendars }: ApiContext,
): Calendar => calendar ?? calendars.of(name.site)
