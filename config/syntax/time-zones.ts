const DAY_MS = 86_400_000
const OFFSET_STEP_MS = 900_000
const FIRST_YEAR = 1970
const LAST_YEAR = 2037

/**
 * Returns the function that gives the offset of a time zone (IANA name) from UTC in ms, at a moment
 * in ms since 1970: local time is UTC plus the offset. Throws RangeError for an unknown name.
 */
export function createZoneOffset(timeZone: string): (atMs: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone, hourCycle: 'h23', era: 'short', year: 'numeric', month: 'numeric' },
    ...{ day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' },
  })
  return atMs => {
    const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, value]))
    const number = (type: Intl.DateTimeFormatPartTypes) => Number(parts.get(type))
    const year = parts.get('era') === 'BC' ? 1 - number('year') : number('year')
    const local = new Date(0)
    local.setUTCFullYear(year, number('month') - 1, number('day'))
    local.setUTCHours(number('hour'), number('minute'), number('second'))
    return local.getTime() - Math.floor(atMs / 1000) * 1000
  }
}

/** Why a text is no time zone for analytics, or null. Quarters of an hour must not be divided. */
export function timeZoneFault(timeZone: string): string | null {
  if (timeZone === 'UTC') return null
  if (!isTimeZone(timeZone)) return 'is no time zone'
  const offsetAt = createZoneOffset(timeZone)
  for (let year = FIRST_YEAR; year <= LAST_YEAR; year++) {
    for (const day of [0, 182]) {
      const offsetMs = offsetAt(Date.UTC(year, 0, 1) + day * DAY_MS)
      if (offsetMs % OFFSET_STEP_MS === 0) continue
      return `was ${offsetMs / 60_000} minutes from UTC in ${year}, no multiple of 15 minutes`
    }
  }
  return null
}

/** Whether a text names a time zone that this Node.js knows. An offset such as +02:00 is none. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    return Boolean(new Intl.DateTimeFormat('en-US', { timeZone: name }))
  } catch {
    return false
  }
}
