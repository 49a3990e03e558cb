import { describe, expect, it } from 'vitest'
import { parseMoment } from '../../../config/process/time-argument.ts'

const nowMs = Date.UTC(2026, 4, 1, 12)
const parse = (text: string) => parseMoment(text, nowMs)

describe('a time argument', () => {
  it.each([
    ['2026-05-01T08:00Z', Date.UTC(2026, 4, 1, 8)],
    ['2026-05-01T08:00:30.250Z', Date.UTC(2026, 4, 1, 8, 0, 30, 250)],
    ['2026-05-01T10:00:00+02:00', Date.UTC(2026, 4, 1, 8)],
    ['2026-04-30T23:30:00-09:30', Date.UTC(2026, 4, 1, 9)],
    ['2024-02-29T00:00Z', Date.UTC(2024, 1, 29)],
    ['now', nowMs],
    ['-30s', nowMs - 30_000],
    ['-15m', nowMs - 900_000],
    ['-2h', nowMs - 7_200_000],
    ['-1.5d', nowMs - 129_600_000],
  ])('%s is valid', (text, ms) => {
    expect(parse(text)).toBe(ms)
  })

  it('in local time is refused with the cure', () => {
    const reason =
      '2026-05-01T08:00 is ambiguous: it has no time zone. ' +
      'Write 2026-05-01T08:00Z for UTC, or an offset such as 2026-05-01T08:00+02:00'
    expect(parse('2026-05-01T08:00')).toEqual({ reason })
  })

  it.each([
    ...['', 'yesterday', '2026-05-01', '2h', '-2', '-2w', '--2h', '1777000000'],
    ...['2026-02-30T00:00Z', '2026-13-01T00:00Z', '2026-05-01T24:00Z', '2026-05-01T08:60Z'],
    ...['2026-05-01T08:00+2', '2026-05-01 08:00Z'],
  ])('%j is not valid', text => {
    expect(parse(text)).toMatchObject({ reason: expect.stringContaining('is not a time. Write') })
  })
})
