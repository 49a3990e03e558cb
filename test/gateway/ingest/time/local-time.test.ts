import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLocalTime } from '../../../../gateway/ingest/time/local-time.ts'

const ZONES = ['Europe/Berlin', 'America/St_Johns', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'UTC']

/** The wall time of a zone as if it were UTC, as the engine itself shows it. */
function wallOf(zone: string, ms: number): number {
  const format = new Intl.DateTimeFormat('sv-SE', {
    ...{ timeZone: zone, dateStyle: 'short', timeStyle: 'medium' },
  })
  return Date.parse(`${format.format(ms).replace(' ', 'T')}Z`)
}

describe('a local time', () => {
  it.each(ZONES)('of %s is the moment that shows this wall time', zone => {
    const momentOf = createLocalTime(zone)
    const seconds = fc.integer({ min: Date.UTC(1975) / 1000, max: Date.UTC(2037) / 1000 })
    fc.assert(
      fc.property(seconds, second => {
        const ms = second * 1000
        expect(momentOf(wallOf(zone, ms), ms)).toBe(ms)
      }),
      { numRuns: 300 },
    )
  })

  it('is the moment nearer to the receipt in the hour that repeats, and none in the skipped hour', () => {
    const momentOf = createLocalTime('Europe/Berlin')
    const wall = Date.UTC(2024, 9, 27, 2, 30)
    const [first, second] = [Date.UTC(2024, 9, 27, 0, 30), Date.UTC(2024, 9, 27, 1, 30)]
    expect(momentOf(wall, first)).toBe(first)
    expect(momentOf(wall, second + 60_000)).toBe(second)
    expect(momentOf(Date.UTC(2024, 2, 31, 2, 30), first)).toBe(null)
  })
})
