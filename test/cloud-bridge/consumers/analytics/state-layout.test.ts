import { expect, it } from 'vitest'
import { listSeries } from '../../../../cloud-bridge/consumers/analytics/api/series-list.ts'
import {
  createCalendar,
  createCalendars,
} from '../../../../cloud-bridge/consumers/analytics/model/calendar.ts'
import {
  windowLengthMs,
  windowSizes,
} from '../../../../cloud-bridge/consumers/analytics/model/window-sizes.ts'
import { keyOf, keysWithPrefix } from '../../../../cloud-bridge/consumers/state/row-keys.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import { StateUnavailable } from '../../../../cloud-bridge/consumers/state/state.ts'
import { temporary } from '../../../gateway/store/fixture.ts'
import { eventOf, expectEqual, HOLD_MAX_MS, handleBatches, windowsIn } from './aggregation-model.ts'
import { expectedWindows } from './expected-windows.ts'
import { firstFormatRows } from './first-format.ts'

const HOUR_MS = 3_600_000
const events = Array.from({ length: 120 }, (_, at) =>
  eventOf({ device: at % 2, at: at * 1_500_000, value: (at * 7) % 40, metrics: 'both' }, at),
)

it('a state of another time zone is rebuilt from its points before the first event', async () => {
  using folder = temporary()
  await using store = openSqliteStates(folder.dir)
  await using consumer = await store.open('analytics')
  await handleBatches(await consumer.claim(0), [events.slice(0, 80)], false)
  const berlin = createCalendars({ timeZone: 'Europe/Berlin', siteTimeZones: [] })
  // Until a member takes the partition, its windows are those of another time zone.
  await expect(listSeries(consumer, {}, null, berlin).next()).rejects.toThrow(StateUnavailable)
  const state = await consumer.claim(0)
  const published = await handleBatches(state, [events.slice(80)], false, 'Europe/Berlin')
  const calendar = createCalendar('Europe/Berlin')
  for (const size of windowSizes) {
    const lengthMs = windowLengthMs(size)
    const expected = expectedWindows(events, lengthMs, HOLD_MAX_MS, { calendar })
    expectEqual(await windowsIn(consumer, size, { timeZone: 'Europe/Berlin' }), expected)
  }
  // The days of Berlin are new, so they are published, also those before the change.
  const days = published.filter(({ size }) => size === '1d').map(({ start }) => start)
  expect(days).toContain('2026-11-23T23:00:00.000Z')
  const stored = await state.range(keysWithPrefix('window', '1d'))
  expect(stored.every(({ value }) => value.length > 0)).toBe(true)
})

it('a state of the first format is rebuilt, and keeps how often windows were published', async () => {
  using folder = temporary()
  await using store = openSqliteStates(folder.dir)
  await using consumer = await store.open('analytics')
  const state = await consumer.claim(0)
  await handleBatches(state, [events.slice(0, 80)], false)
  await state.commit({ rows: await firstFormatRows(state) })
  const [layout] = await state.get([keyOf('layout')])
  expect(layout).toBeNull()
  const late = eventOf({ device: 0, at: HOUR_MS, value: 3, metrics: 'both' }, 500)
  const published = await handleBatches(state, [[late], events.slice(80)], true)
  for (const size of windowSizes) {
    const expected = expectedWindows([...events, late], windowLengthMs(size), HOLD_MAX_MS)
    expectEqual(await windowsIn(consumer, size), expected)
  }
  const changed = published.filter(({ size, amended }) => size === '1d' && amended === 1)
  expect(changed).toHaveLength(2)
})
