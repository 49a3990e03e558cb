import { drawAt } from './random.ts'

export type RoomUsage = 'office' | 'meeting' | 'lab'

/** The room that a zone consists of. Air changes are per hour, with ventilation on. */
export type Room = {
  key: number
  usage: RoomUsage
  seats: number
  areaM2: number
  airChanges: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const usages: readonly RoomUsage[] = ['office', 'office', 'office', 'meeting', 'lab']

/** The room of a zone, derived from the zone's key: the same key always gives the same room. */
export function roomOf(key: number): Room {
  const usage = usages[Math.floor(drawAt(key, 1) * usages.length)]!
  const size = drawAt(key, 2)
  const air = drawAt(key, 3)
  if (usage === 'meeting') {
    const seats = 6 + Math.floor(9 * size)
    return { key, usage, seats, areaM2: seats * 3, airChanges: 4 + 2 * air }
  }
  if (usage === 'lab') {
    const seats = 2 + Math.floor(5 * size)
    return { key, usage, seats, areaM2: seats * 15, airChanges: 4 + 2 * air }
  }
  const seats = 3 + Math.floor(6 * size)
  return { key, usage, seats, areaM2: seats * 10, airChanges: 1.5 + air }
}

/** True from Monday to Friday (1 January 1970 was a Thursday). */
export function isWorkday(timeMs: number): boolean {
  return (Math.floor(timeMs / DAY_MS) + 3) % 7 < 5
}

/** Whether ventilation, heating and cooling run: from 6:00 to 19:00 on workdays. */
export function isClimateOn(timeMs: number): boolean {
  const hour = (timeMs % DAY_MS) / HOUR_MS
  return isWorkday(timeMs) && hour >= 6 && hour < 19
}

/** Whether a person is at the desk: working hours differ each day, with lunch and days off. */
function isPresent(room: Room, person: number, day: number, hour: number, workday: boolean) {
  const away = drawAt(room.key, day, person, 1)
  if (away < (workday ? 0.2 : 0.96)) return false
  const arrives = 7.25 + 2.25 * drawAt(room.key, day, person, 2)
  const leaves = 15.5 + 3 * drawAt(room.key, day, person, 3)
  const lunch = 11.5 + 1.25 * drawAt(room.key, day, person, 4)
  const eating = hour >= lunch && hour < lunch + 0.6
  return hour >= arrives && hour < leaves && !eating
}

/**
 * The number of people in the meeting of a half hour, 0 when the room is not booked. About every
 * second half hour of a workday is booked.
 */
function attendance(room: Room, halfHour: number, hour: number, workday: boolean): number {
  if (!workday || hour < 8.5 || hour >= 17.5) return 0
  if (drawAt(room.key, halfHour, 0, 5) >= (hour >= 12 && hour < 13 ? 0.15 : 0.55)) return 0
  return 2 + Math.floor(drawAt(room.key, halfHour, 0, 6) * (room.seats - 1))
}

/** How many people are in the room: 0 to its number of seats. */
export function peopleAt(room: Room, timeMs: number): number {
  const hour = (timeMs % DAY_MS) / HOUR_MS
  const workday = isWorkday(timeMs)
  if (room.usage === 'meeting') {
    return attendance(room, Math.floor(timeMs / (HOUR_MS / 2)), hour, workday)
  }
  const day = Math.floor(timeMs / DAY_MS)
  let people = 0
  for (let person = 0; person < room.seats; person++) {
    if (isPresent(room, person, day, hour, workday)) people++
  }
  return people
}
