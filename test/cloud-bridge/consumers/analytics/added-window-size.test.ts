import { describe, expect, it, vi } from 'vitest'
import { apiWindowSizes } from '../../../../cloud-bridge/consumers/analytics/api/query.ts'
import { windowLengthMs } from '../../../../cloud-bridge/consumers/analytics/model/window-sizes.ts'
import { keysWithPrefix, partsOf } from '../../../../cloud-bridge/consumers/state/row-keys.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import { loadConfig } from '../../../../config/config.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'
import { temporary } from '../../../gateway/store/fixture.ts'
import {
  checkAggregation,
  eventOf,
  expectEqual,
  HOLD_MAX_MS,
  handleBatches,
  type Sample,
  windowsIn,
} from './aggregation-model.ts'
import { openFilledApi } from './api/api-fixture.ts'
import { expectedWindows } from './expected-windows.ts'

// The table of window sizes with one more line.
vi.mock('../../../../config/window-size-table.ts', async importOriginal => {
  const { windowSizeTable } =
    await importOriginal<typeof import('../../../../config/window-size-table.ts')>()
  return { windowSizeTable: { ...windowSizeTable, '1w': { ms: 604_800_000, builtFrom: '1d' } } }
})

const THREE_WEEKS_MS = 3 * 604_800_000

describe('a window size that is added as one line of the table', () => {
  it('is aggregated and published like the others', async () => {
    await checkAggregation({ spanMs: THREE_WEEKS_MS, numRuns: 100 })
  }, 60_000)

  it('does not harm the other sizes on a state from before the addition', async () => {
    using folder = temporary()
    await using store = openSqliteStates(folder.dir)
    await using consumer = await store.open('analytics')
    const state = await consumer.claim(0)
    const sampleAt = (hour: number): Sample => ({
      ...{ device: 0, at: hour * 3_600_000, value: hour, metrics: 'both' },
    })
    const inOrder = [0, 30, 200, 400].map(sampleAt).map(eventOf)
    await handleBatches(state, [inOrder], false)
    // Without the windows and timers of weeks the state is as if the size had just been added.
    const weeks = await state.range(keysWithPrefix('window', '1w'))
    const timers = (await state.range(keysWithPrefix('due'))).filter(({ key }) =>
      partsOf(key).includes('1w'),
    )
    await state.commit({ rows: new Map([...weeks, ...timers].map(({ key }) => [key, null])) })
    const late = [1, 29, 31, 199, 201, 399].map(sampleAt).map(eventOf)
    await handleBatches(state, [late], true)
    for (const size of ['15m', '1h', '1d'] as const) {
      const expected = expectedWindows([...inOrder, ...late], windowLengthMs(size), HOLD_MAX_MS)
      expectEqual(await windowsIn(consumer, size), expected)
    }
  })

  it('is a value of the configuration and of the read API', async () => {
    const env = { SLUICE_CONSUMERS_ANALYTICS_PUBLISH: '["1d","1w"]' }
    expect(loadConfig({ env })).toMatchObject({
      config: { consumers: { analytics: { publish: ['1d', '1w'] } } },
    })
    expect(apiWindowSizes).toEqual(['1m', '15m', '1h', '1d', '1w'])
    const receivedAt = Date.UTC(2026, 10, 23)
    const measurements = [{ metric: 'a', number: 1, flag: null, text: null, unit: null }]
    const events = [0, 1, 2].map(day => ({
      ...{ ...goldenEvent, measurements, observedAt: null, zoneSequence: day + 1 },
      receivedAt: receivedAt + day * 86_400_000,
    }))
    await using api = await openFilledApi(
      events,
      () => 0,
      () => receivedAt,
    )
    const { body } = await api.ask(
      `/api/aggregates?size=1w&from=${receivedAt}&to=${receivedAt + 1}`,
    )
    expect(body.aggregates).toMatchObject([
      { size: '1w', count: 3, start: '2026-11-19T00:00:00.000Z', end: '2026-11-26T00:00:00.000Z' },
    ])
  })
})
