import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readCompleteness } from '../../../../../cloud-bridge/consumers/analytics/api/completeness.ts'
import { readTotals } from '../../../../../cloud-bridge/consumers/analytics/api/totals.ts'
import { openSqliteStates } from '../../../../../cloud-bridge/consumers/state/sqlite.ts'
import { encodeEvent, type SensorReading } from '../../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../../config/event/events-fixture.ts'
import { apiContext, openAnalytics } from '../analytics-fixture.ts'
import { openFilledApi } from './api-fixture.ts'

const NOW = Date.UTC(2026, 10, 23, 12)
const DAY_MS = 86_400_000
const dir = mkdtempSync(join(tmpdir(), 'sluice-completeness-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const measured = (metric: string, number: number) => ({
  ...{ metric, number, flag: null, text: null, unit: null },
})
const event = (zoneSequence: number, fields: Partial<SensorReading> = {}): SensorReading => ({
  ...{ ...goldenEvent, observedAt: null, receivedAt: NOW, measurements: [measured('a', 1)] },
  ...{ sequence: zoneSequence, zoneSequence, ...fields },
})

describe('an answer of the read API', () => {
  it('says what is pending, missing, late, or counted at the time of receipt, and why', async () => {
    await using store = openSqliteStates(join(dir, 'all'))
    await using state = await store.open('analytics')
    const clockOffsets = { offsetOf: () => null }
    const { work } = await openAnalytics({ state, topic: 'readings', clockOffsets })
    const unsynced = { clock: 'UNSYNCED' as const, receivedAt: NOW - 3_600_000 }
    const events = [
      event(1),
      event(4),
      // Out of order; 3 is missing.
      event(2),
      event(5, { observedAt: NOW - 2 * DAY_MS }),
      event(6, { observedAt: NOW + 120_000 }),
      event(7, { observedAt: NOW - 3_600_000 }),
      event(8, { ...unsynced, gateway: 'gw-dark' }),
      event(9, { ...unsynced, gateway: 'gw-dark' }),
    ]
    const records = events.map((value, offset) => ({
      ...{ partition: 0, offset, appendTimeMs: NOW, key: null, headers: {} },
      value: encodeEvent(value),
    }))
    await work.processRecords('readings', records, new AbortController().signal)
    await work[Symbol.asyncDispose]()
    const completeness = await readCompleteness(state, 1000)
    expect(completeness).toEqual({
      pending: {
        ...{ readings: 2, since: new Date(NOW).toISOString() },
        until: new Date(NOW + 1000).toISOString(),
        gateways: [{ gateway: 'gw-dark', readings: 2 }],
        reason: expect.stringMatching(/clocks of these gateways were not trusted/),
      },
      // The gateway gw-dark has numbers of its own: 1 to 7 of them have not arrived.
      missing: { events: 1 + 7, reason: expect.stringMatching(/ledger verify/) },
      late: { backlog: 0, outOfOrder: 1, reason: expect.stringMatching(/in the windows/) },
      countedAtReceipt: { older: 1, ahead: 1, reason: expect.stringMatching(/more than a day/) },
    })
    expect(await readTotals(state, apiContext)).toMatchObject({ readings: 6, held: 2 })
  })

  it('says since when the readings wait that are still pending', async () => {
    await using store = openSqliteStates(join(dir, 'since'))
    await using state = await store.open('analytics')
    const process = async (events: SensorReading[], knownSequence: number) => {
      const clockOffsets = {
        offsetOf: ({ sequence }: { sequence: number }) => (sequence === knownSequence ? 0 : null),
      }
      const { work } = await openAnalytics({ state, topic: 'readings', clockOffsets })
      const records = events.map(value => ({
        ...{ partition: 0, offset: value.sequence, appendTimeMs: NOW + value.sequence },
        ...{ key: null, headers: {}, value: encodeEvent(value) },
      }))
      await work.processRecords('readings', records, new AbortController().signal)
      await work[Symbol.asyncDispose]()
      return (await readCompleteness(state, 1000)).pending
    }
    const unsynced = { clock: 'UNSYNCED' as const, receivedAt: NOW - 3_600_000 }
    const two = [event(1, unsynced), event(2, unsynced)]
    expect(await process(two, 0)).toMatchObject({
      ...{ readings: 2, since: new Date(NOW + 1).toISOString() },
    })
    expect(await process([event(3)], 1)).toMatchObject({
      ...{ readings: 1, since: new Date(NOW + 2).toISOString() },
      until: new Date(NOW + 1002).toISOString(),
    })
  })

  it('counts in each window the values at the time of receipt', async () => {
    const events = [event(1, { observedAt: NOW - 2 * DAY_MS }), event(2)]
    await using api = await openFilledApi(
      events,
      () => 0,
      () => NOW + 60_000,
    )
    for (const size of ['15m', '1h', '1d']) {
      const { body } = await api.ask(`/api/aggregates?size=${size}&from=${NOW}&to=${NOW + 1}`)
      expect(body.aggregates).toMatchObject([{ count: 2, countedAtReceipt: 1 }])
      expect(body.countedAtReceipt).toMatchObject({ older: 1, ahead: 0 })
      expect(body.pending).toMatchObject({ readings: 0, reason: null })
    }
  })

  it("has no series of a simulated device's own numbers", async () => {
    const measurements = [
      measured('simulated_number', 7),
      { ...measured('simulated_run', 0), number: null, text: 'r' },
      measured('a', 1),
    ]
    await using api = await openFilledApi(
      [event(1, { measurements })],
      () => 0,
      () => NOW,
    )
    const { body } = await api.ask('/api/series')
    expect(body.series.map(({ metric }: { metric: string }) => metric)).toEqual(['a'])
  })

  it('has the days of the site, or of a time zone that the request names', async () => {
    // From midnight in Berlin on: two days of UTC.
    const midnight = Date.UTC(2026, 10, 21, 23)
    const measurement = (number: number) => ({ ...measured('energy_kwh', number), unit: 'kW.h' })
    const events = [0, 1, 2, 3].map(index =>
      event(index + 1, {
        ...{ site: index % 2 === 0 ? 'hq' : 'berlin', receivedAt: midnight + index * 1_800_000 },
        measurements: [measurement(100 + index)],
      }),
    )
    await using api = await openFilledApi(
      events,
      () => 0,
      () => NOW,
      { siteTimeZones: [{ site: 'berlin', timeZone: 'Europe/Berlin' }] },
    )
    const startsOf = async (query: string) => {
      const { body } = await api.ask(`/api/aggregates?size=1d&${query}`)
      return body.aggregates.map(({ start, count }: { start: string; count: number }) => [
        start,
        count,
      ])
    }
    const berlin = new Date(midnight).toISOString()
    expect(await startsOf('site=berlin&from=-4d')).toEqual([[berlin, 2]])
    expect(await startsOf('site=hq&from=-4d')).toEqual([
      ['2026-11-21T00:00:00.000Z', 1],
      ['2026-11-22T00:00:00.000Z', 1],
    ])
    expect(await startsOf('site=hq&from=-4d&timezone=Europe/Berlin')).toEqual([[berlin, 2]])
    // A range of thousands of years costs as many steps as the series has days.
    const ever = 'from=0&to=9999-12-31T00:00:00Z&timezone=Europe/Berlin'
    expect(await startsOf(`site=hq&${ever}`)).toEqual([[berlin, 2]])
    expect((await api.ask('/api/aggregates?timezone=Mars')).body.error).toBe(
      'timezone: "Mars" is no time zone. Write a name such as Europe/Berlin',
    )
  })
})
