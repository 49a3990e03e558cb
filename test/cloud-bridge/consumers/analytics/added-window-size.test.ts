import { describe, expect, it, vi } from 'vitest'
import { apiWindowSizes } from '../../../../cloud-bridge/consumers/analytics/api/query.ts'
import { loadConfig } from '../../../../config/config.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'
import { checkAggregation } from './aggregation-model.ts'
import { openFilledApi } from './api/api-fixture.ts'

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
