import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ApiWindowSize,
  apiWindowLengthMs,
  apiWindowSizes,
} from '../../../../../cloud-bridge/consumers/analytics/api/query.ts'
import type { Aggregate } from '../../../../../cloud-bridge/consumers/analytics/model/aggregate.ts'
import type { SensorReading } from '../../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../../config/event/events-fixture.ts'
import { type ExpectedWindow, expectedWindows } from '../expected-windows.ts'
import { HOLD_MAX_MS, openFilledApi } from './api-fixture.ts'

const DAY = Date.UTC(2026, 10, 23)
const NOW = DAY + 40 * 3_600_000
const HOUR_MS = 3_600_000
const all = `from=${DAY}&to=${DAY + 3 * 86_400_000}`
const zones = ['z1', 'z2/east', 'z3']

/** Two days of three zones with three devices of three metrics; device d2 has another unit. */
function createEvents(): SensorReading[] {
  const events: SensorReading[] = []
  for (let at = 0; at < 400; at++) {
    for (const [nth, zone] of zones.entries()) {
      const device = `d${(at + nth) % 3}`
      const moment = DAY + Math.floor(((at * 7919 + nth) % 400) * 4.3 * 60_000)
      const number = ((at * 31 + nth * 17) % 97) - 20
      const none = { number: null, flag: null, text: null }
      const measurements = [
        { ...none, metric: 'temperature', number, unit: device === 'd2' ? 'K' : 'Cel' },
        { ...none, metric: 'energy', number: at * 2, unit: 'kW.h' },
        { ...none, metric: 'occupied', flag: at % 3 === 0, unit: null },
      ]
      const time = { receivedAt: moment, observedAt: null, clock: 'SYNCED' as const }
      const name = { site: 'hq', zone, device, zoneSequence: at + 1 }
      events.push({ ...goldenEvent, ...time, ...name, measurements })
    }
  }
  return events
}

const events = createEvents()
let api: Awaited<ReturnType<typeof openFilledApi>>
beforeAll(async () => {
  api = await openFilledApi(
    events,
    ({ zone }) => zones.indexOf(zone) % 2,
    () => NOW,
  )
})
afterAll(() => api?.[Symbol.asyncDispose]())

/** The entries of all pages of a request. */
async function readPages<T>(path: string, list: string): Promise<T[]> {
  const entries: T[] = []
  for (let next: string | null = null; ; ) {
    const cursor: string = next === null ? '' : `&cursor=${next}`
    const { status, body } = await api.ask(`${path}${cursor}`)
    expect(status).toBe(200)
    entries.push(...body[list])
    if (body.next === null) return entries
    next = body.next
  }
}

function expectClose(actual: number | null, expected: number | null, field: string): void {
  if (expected === null) expect(actual, field).toBeNull()
  else {
    const message = `${field}: ${actual} instead of ${expected}`
    expect(Math.abs(actual! - expected), message).toBeLessThan(1e-6)
  }
}

type ApiAggregate = Aggregate & { isOpen: boolean }

function expectWindow(aggregate: ApiAggregate, expected: ExpectedWindow): void {
  const fields = ['count', 'sum', 'min', 'max', 'last', 'timeWeightedMean'] as const
  for (const field of fields) {
    expectClose(aggregate[field], expected[field], `${aggregate.start} ${field}`)
  }
  const { metric } = aggregate
  expectClose(aggregate.energyKwh, metric === 'energy' ? expected.rise : null, 'energy')
  const hours = metric === 'occupied' ? expected.positiveMs / HOUR_MS : null
  expectClose(aggregate.occupiedHours, hours, 'occupied hours')
}

describe('the read API of analytics', () => {
  for (const size of apiWindowSizes) {
    it(`gives the windows of ${size} of a plain computation, over all partitions, page by page`, async () => {
      const expected = expectedWindows(events, apiWindowLengthMs(size), HOLD_MAX_MS)
      const limit = size === '1d' ? 4 : 1000
      const aggregates = await readPages<ApiAggregate>(
        `/api/aggregates?${all}&size=${size}&limit=${limit}`,
        'aggregates',
      )
      const nameOf = ({ site, zone, device, metric, start }: ApiAggregate) =>
        `${site}/${zone}/${device}/${metric} ${Date.parse(start)}`
      expect(aggregates.map(nameOf).sort()).toEqual([...expected.keys()].sort())
      for (const aggregate of aggregates) {
        expectWindow(aggregate, expected.get(nameOf(aggregate))!)
        const end = Date.parse(aggregate.start) + apiWindowLengthMs(size)
        expect(aggregate.isOpen).toBe(end > NOW)
      }
      expect(aggregates.some(({ isOpen }) => isOpen)).toBe(size === '1d')
    })
  }

  it('gives only what a filter and a time range match', async () => {
    const from = new Date(DAY + 3.5 * HOUR_MS).toISOString()
    const time = `from=${from}&to=${DAY + 6 * HOUR_MS}&size=1h`
    const series = 'site=hq&zone=z2/east&device=d1&metric=energy'
    const { body } = await api.ask(`/api/aggregates?${time}&${series}`)
    const starts = body.aggregates.map(({ start }: Aggregate) => Date.parse(start))
    expect(starts).toEqual([3, 4, 5].map(hour => DAY + hour * HOUR_MS))
    expect(new Set(body.aggregates.map(({ zone }: Aggregate) => zone))).toEqual(
      new Set(['z2/east']),
    )
    expect((await api.ask('/api/aggregates?zone=none')).body).toMatchObject({
      aggregates: [],
      next: null,
    })
  })

  it('lists series, page by page', async () => {
    const series = await readPages<{ zone: string }>('/api/series?limit=4', 'series')
    expect(series).toHaveLength(27)
    const matching = await readPages('/api/series?zone=z3&metric=temperature&device=d2', 'series')
    const name = { site: 'hq', zone: 'z3', device: 'd2', metric: 'temperature' }
    expect(matching).toEqual([{ ...name, unit: 'K', kind: 'number', timeZone: 'UTC' }])
  })

  it('aggregates over the devices of a zone', async () => {
    for (const size of ['1m', '1h', '1d'] satisfies ApiWindowSize[]) {
      const to = DAY + (size === '1m' ? 6 : 72) * HOUR_MS
      const aggregates = await readPages<ApiAggregate & { devices: number }>(
        `/api/zones/z2%2Feast/aggregates?from=${DAY}&to=${to}&size=${size}&limit=50`,
        'aggregates',
      )
      const values = valuesIn('z2/east', apiWindowLengthMs(size))
      const windows = [...expectedWindows(events, apiWindowLengthMs(size), HOLD_MAX_MS)]
      const groups = Map.groupBy(windows, ([key]) => zoneGroupOf(key, 'z2/east'))
      for (const group of groups.keys()) {
        if (group === null || Date.parse(group.split(' ')[0]!) >= to) groups.delete(group)
      }
      expect(aggregates.map(({ start, metric, unit }) => `${start} ${metric} ${unit}`)).toEqual(
        [...groups.keys()].sort(),
      )
      for (const aggregate of aggregates) {
        const { start, metric, unit } = aggregate
        const sorted = values.get(`${start} ${metric} ${unit}`) ?? []
        const sum = sorted.reduce((total, value) => total + value, 0)
        expect(aggregate).toMatchObject({
          ...{ zone: 'z2/east', count: sorted.length },
          ...{ min: sorted[0] ?? null, max: sorted.at(-1) ?? null },
        })
        expectClose(aggregate.sum, sum, 'sum')
        expectClose(aggregate.mean, sorted.length === 0 ? null : sum / sorted.length, 'mean')
        for (const [fraction, percentile] of [
          [0.5, aggregate.p50],
          [0.95, aggregate.p95],
        ] as const) {
          const exact = sorted[Math.floor(fraction * (sorted.length - 1))]
          if (exact === undefined) expect(percentile).toBeNull()
          else
            expect(Math.abs(percentile! - exact)).toBeLessThanOrEqual(Math.abs(exact) * 0.010_000_1)
        }
        const group = groups.get(`${start} ${metric} ${unit}`)!
        const ofDevices = group.map(([, window]) => window)
        const withValues = ofDevices.filter(({ count }) => count > 0)
        expect(aggregate.devices).toBe(withValues.length)
        const rise = ofDevices.reduce((total, window) => total + window.rise, 0)
        expectClose(aggregate.energyKwh, metric === 'energy' ? rise : null, 'energy')
      }
    }
  })

  it('gives the totals of each metric', async () => {
    const numbers = (name: string) =>
      events.map(({ measurements }) => measurements.find(({ metric }) => metric === name)!)
    const sumOf = (name: string) =>
      numbers(name).reduce((sum, { number, flag }) => sum + (number ?? Number(flag)), 0)
    const metrics = ['energy', 'occupied', 'temperature'].map(metric => ({
      ...{ metric, count: 1200, sum: sumOf(metric) },
    }))
    expect((await api.ask('/api/totals')).body).toMatchObject({ metrics, readings: 1200, held: 0 })
  })

  it('refuses a wrong request with value, place and cure in one line', async () => {
    const wrong: Record<string, RegExp> = {
      'aggregates?size=2h': /^size: "2h" is no window size\. Write one of 1m, 15m, 1h, 1d$/,
      'aggregates?from=yesterday': /^from: "yesterday" is not a time\. Write a time such as/,
      'aggregates?to=9999999999999999': /^to: 9999999999999999 is beyond any calendar\. Write/,
      'aggregates?from=2026-11-23T08:00:00Z&to=2026-11-23T08:00:00Z':
        /^from is .*, not before to, .*\. Write/,
      'aggregates?limit=0': /^limit: "0" is no page size\. Write a whole number from 1 to 10000$/,
      'aggregates?cursor=bm90IG91cnM': /^cursor: "bm90IG91cnM" is not a cursor of this API\. Write/,
      'aggregates?devise=d1':
        /^devise is no parameter here\. Parameters are .*\. Did you mean device\?$/,
      'series?zone=a&zone=b': /^zone is given more than once\. Write it once$/,
      'totals?zone=a': /^zone is no parameter here/,
      'zones/z1/aggregates?size=': /^size: "" is no window size/,
    }
    for (const [path, expected] of Object.entries(wrong)) {
      const { status, body } = await api.ask(`/api/${path}`)
      expect({ path, status, error: body.error }).toEqual({
        path,
        status: 400,
        error: expect.stringMatching(expected),
      })
      expect(body.error).not.toContain('\n')
    }
    expect(await api.ask('/api/other')).toMatchObject({
      status: 404,
      body: { error: /openapi\.json/ },
    })
  })

  it('describes itself, and is served with the other pages of its process', async () => {
    const { body } = await api.ask('/openapi.json')
    expect(body.openapi).toBe('3.1.0')
    expect(Object.keys(body.paths).sort()).toEqual([
      '/api/aggregates',
      '/api/series',
      '/api/totals',
      '/api/zones/{zone}/aggregates',
    ])
    const { parameters, responses } = body.paths['/api/aggregates'].get
    expect(parameters).toHaveLength(10)
    const schema = responses['200'].content['application/json'].schema.properties.aggregates.items
    const [aggregate] = (await api.ask(`/api/aggregates?${all}&limit=1`)).body.aggregates
    expect(Object.keys(schema.properties).sort()).toEqual(Object.keys(aggregate).sort())
    expect((await api.ask('/health')).body).toMatchObject({ status: 'running' })
    expect((await api.ask('/state')).body).toEqual({ part: 'consumer' })
  })
})

/** The group of a zone's windows to which a series' window belongs; null for another zone. */
function zoneGroupOf(key: string, zone: string): string | null {
  const [, device, metric, start] = key.match(new RegExp(`^hq/${zone}/(d.)/(\\w+) (\\d+)$`)) ?? []
  if (device === undefined) return null
  const units = { temperature: device === 'd2' ? 'K' : 'Cel', energy: 'kW.h', occupied: null }
  const unit = units[metric as keyof typeof units]
  return `${new Date(Number(start)).toISOString()} ${metric} ${unit}`
}

/** The values of a zone, sorted, by window, metric and unit. */
function valuesIn(zone: string, sizeMs: number): Map<string, number[]> {
  const byGroup = new Map<string, number[]>()
  for (const event of events.filter(({ zone: eventZone }) => eventZone === zone)) {
    const start = new Date(Math.floor(event.receivedAt / sizeMs) * sizeMs).toISOString()
    for (const { metric, unit, number, flag } of event.measurements) {
      const key = `${start} ${metric} ${unit}`
      byGroup.set(key, [...(byGroup.get(key) ?? []), number ?? Number(flag)])
    }
  }
  for (const values of byGroup.values()) values.sort((a, b) => a - b)
  return byGroup
}
