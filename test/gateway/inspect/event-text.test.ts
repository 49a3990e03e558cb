import { describe, expect, it } from 'vitest'
import { printable, timeText } from '../../../config/process/text-format.ts'
import { eventLine, unreadableLine } from '../../../gateway/inspect/event-text.ts'
import { goldenEvent } from '../../config/event/events-fixture.ts'

describe('an event on one line', () => {
  it('has time, sequence, site, zone, device and measurements', () => {
    const value = { number: null, flag: null, text: null, unit: null }
    const measurements = [
      { ...value, metric: 'temperature', number: 21.5, unit: 'Cel' },
      { ...value, metric: 'open', flag: false },
      { ...value, metric: 'state', text: 'ok' },
      { ...value, metric: 'rssi' },
    ]
    const event = { ...goldenEvent, site: 'hq', zone: 'z1', device: 'd1', measurements }
    const times = { receivedAt: 1_700_000_000_123, observedAt: null, clock: 'SYNCED' as const }
    expect(eventLine({ ...event, ...times })).toBe(
      '2023-11-14T22:13:20.123Z  #7  hq/z1/d1  ' +
        'temperature=21.5 Cel  open=false  state="ok"  rssi=null',
    )
    expect(
      eventLine({ ...event, ...times, measurements: [], clock: 'UNSYNCED', observedAt: 0 }),
    ).toBe(
      '2023-11-14T22:13:20.123Z  #7  hq/z1/d1  nothing measured  ' +
        '(observed 1970-01-01T00:00:00.000Z)  (clock UNSYNCED)',
    )
  })

  it('has control characters escaped', () => {
    expect(printable('a\u001b[2Jb\nc\u009bd\u202ee\u2028f')).toBe(
      'a\\u{1b}[2Jb\\u{a}c\\u{9b}d\\u{202e}e\\u{2028}f',
    )
    expect(printable('Halle 1/Süd °C 🌡')).toBe('Halle 1/Süd °C 🌡')
  })

  it('accepts times beyond the range of Date', () => {
    expect(timeText(8.64e15)).toBe('+275760-09-13T00:00:00.000Z')
    expect(timeText(2 ** 53)).toBe('9007199254740992 ms')
  })

  it('names the events of an unreadable group, as far as they are known', () => {
    expect(unreadableLine(5, 'why')).toBe('the group from #5 on cannot be read: why')
    expect(unreadableLine(5, 'why', [{ zone: 'z', first: 3, count: 2 }])).toBe(
      'the group from #5 on cannot be read: why (zone sequences z 3-4)',
    )
  })
})
