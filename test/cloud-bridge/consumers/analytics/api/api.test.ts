import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Aggregate } from '../../../../../cloud-bridge/consumers/analytics/model/aggregate.ts'
import { windowSizesMs } from '../../../../../cloud-bridge/consumers/analytics/model/series.ts'
import type { SensorReading } from '../../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../../config/event/events-fixture.ts'
import { type ByHand, byHand } from '../by-hand.ts'
import { filledApi, HOLD_MAX_MS } from './filled.ts'

const DAY = Date.UTC(2026, 10, 23)
const NOW = DAY + 40 * 3_600_000
const HOUR_MS = 3_600_000
const all = `from=${DAY}&to=${DAY + 3 * 86_400_000}`
const zones = ['z1', 'z2/east', 'z3']

/** Two days of three zones with three devices of three metrics; the last of a unit of its own. */
function eventsOf(): SensorReading[] {
  const events: SensorReading[] = []
  for (let at = 0; at < 400; at++) {
    for (const [place, zone] of zones.entries()) {
      const device = `d${(at + place) % 3}`
      const moment = DAY + Math.floor(((at * 7919 + place) % 400) * 4.3 * 60_000)
      const number = ((at * 31 + place * 17) % 97) - 20
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

const events = eventsOf()
const msOf = { '1m': 60_000, ...windowSizesMs }
let api: Awaited<ReturnType<typeof filledApi>>
beforeAll(async () => {
  api = await filledApi(
    events,
    ({ zone }) => zones.indexOf(zone) % 2,
    () => NOW,
  )
})
afterAll(() => api?.[Symbol.asyncDispose]())

/** All pages of a question. */
async function pages<T>(path: string, list: string): Promise<T[]> {
  const found: T[] = []
  for (let next: string | null = null; ; ) {
    const cursor: string = next === null ? '' : `&cursor=${next}`
    const { status, body } = await api.ask(`${path}${cursor}`)
    expect(status).toBe(200)
    found.push(...body[list])
    if (body.next === null) return found
    next = body.next
  }
}

function expectClose(is: number | null, want: number | null, what: string): void {
  if (want === null) expect(is, what).toBeNull()
  else expect(Math.abs(is! - want), `${what}: ${is} for ${want}`).toBeLessThan(1e-6)
}

type Answered = Aggregate & { isOpen: boolean }

function expectByHand(one: Answered, want: ByHand): void {
  const names = ['count', 'sum', 'min', 'max', 'last', 'timeWeightedMean'] as const
  for (const name of names) expectClose(one[name], want[name], `${one.start} ${name}`)
  expectClose(one.energyKwh, one.metric === 'energy' ? want.rise : null, 'energy')
  const hours = one.metric === 'occupied' ? want.positiveMs / HOUR_MS : null
  expectClose(one.occupiedHours, hours, 'occupied hours')
}

describe('the read API of analytics', () => {
  for (const size of ['1m', '15m', '1h', '1d'] as const) {
    it(`gives the windows of ${size} that a plain computation comes to, over all partitions, page by page`, async () => {
      const expected = byHand(events, msOf[size], HOLD_MAX_MS)
      const limit = size === '1d' ? 4 : 1000
      const found = await pages<Answered>(
        `/api/aggregates?${all}&size=${size}&limit=${limit}`,
        'aggregates',
      )
      const nameOf = ({ site, zone, device, metric, start }: Answered) =>
        `${site}/${zone}/${device}/${metric} ${Date.parse(start)}`
      expect(found.map(nameOf).sort()).toEqual([...expected.keys()].sort())
      for (const one of found) {
        expectByHand(one, expected.get(nameOf(one))!)
        expect(one.isOpen).toBe(Date.parse(one.start) + msOf[size] > NOW)
      }
      expect(found.some(one => one.isOpen)).toBe(size === '1d')
    })
  }

  it('gives what a filter and a time let through', async () => {
    const from = new Date(DAY + 3.5 * HOUR_MS).toISOString()
    const time = `from=${from}&to=${DAY + 6 * HOUR_MS}&size=1h`
    const series = 'site=hq&zone=z2/east&device=d1&metric=energy'
    const { body } = await api.ask(`/api/aggregates?${time}&${series}`)
    const starts = body.aggregates.map(({ start }: Aggregate) => Date.parse(start))
    expect(starts).toEqual([3, 4, 5].map(hour => DAY + hour * HOUR_MS))
    expect(new Set(body.aggregates.map(({ zone }: Aggregate) => zone))).toEqual(
      new Set(['z2/east']),
    )
    expect((await api.ask('/api/aggregates?zone=none')).body).toEqual({
      aggregates: [],
      next: null,
    })
  })

  it('lists series, page by page', async () => {
    const found = await pages<{ zone: string }>('/api/series?limit=4', 'series')
    expect(found).toHaveLength(27)
    const one = await pages('/api/series?zone=z3&metric=temperature&device=d2', 'series')
    const name = { site: 'hq', zone: 'z3', device: 'd2', metric: 'temperature' }
    expect(one).toEqual([{ ...name, unit: 'K', kind: 'number' }])
  })

  it('puts the devices of a zone together', async () => {
    for (const size of ['1m', '1h', '1d'] as const) {
      const found = await pages<Answered & { devices: number }>(
        `/api/zones/${encodeURIComponent('z2/east')}/aggregates?${all}&size=${size}&limit=50`,
        'aggregates',
      )
      const values = valuesIn('z2/east', msOf[size])
      const each = [...byHand(events, msOf[size], HOLD_MAX_MS)]
      expect(found.map(({ start, metric, unit }) => `${start} ${metric} ${unit}`)).toEqual(
        [...values.keys()].sort(),
      )
      for (const one of found) {
        const sorted = values.get(`${one.start} ${one.metric} ${one.unit}`)!
        const sum = sorted.reduce((total, value) => total + value, 0)
        expect(one).toMatchObject({
          count: sorted.length,
          min: sorted[0],
          max: sorted.at(-1),
          zone: 'z2/east',
        })
        expectClose(one.sum, sum, 'sum')
        expectClose(one.mean, sum / sorted.length, 'mean')
        for (const [share, is] of [
          [0.5, one.p50!],
          [0.95, one.p95!],
        ] as const) {
          const exact = sorted[Math.floor(share * (sorted.length - 1))]!
          expect(Math.abs(is - exact)).toBeLessThanOrEqual(Math.abs(exact) * 0.010_000_1)
        }
        const name = new RegExp(`^hq/z2/east/d./${one.metric} ${Date.parse(one.start)}$`)
        const parts = each.flatMap(([key, value]) => (name.test(key) ? [value] : []))
        if (one.metric !== 'temperature') expect(one.devices).toBe(parts.length)
        const rise = parts.reduce((total, part) => total + part.rise, 0)
        expectClose(one.energyKwh, one.metric === 'energy' ? rise : null, 'energy')
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
    expect((await api.ask('/api/totals')).body).toEqual({ metrics, held: 0 })
  })

  it('says in one line what is wrong with a question', async () => {
    const wrong: Record<string, RegExp> = {
      'aggregates?size=2h': /^size: "2h" is no window\. Write one of 1m, 15m, 1h, 1d$/,
      'aggregates?from=yesterday': /^from: "yesterday" is no time\. Write one such as/,
      'aggregates?to=9999999999999999': /^to: 9999999999999999 is beyond any calendar\. Write/,
      'aggregates?from=2026-11-23T08:00:00Z&to=2026-11-23T08:00:00Z':
        /^from is .*, not before to, .*\. Write/,
      'aggregates?limit=0':
        /^limit: "0" is not how many can be given\. Write a whole number from 1 to 10000$/,
      'aggregates?cursor=bm90IG91cnM': /^cursor: "bm90IG91cnM" is none of ours\. Write/,
      'aggregates?devise=d1': /^devise is nothing to ask for here: .*\. Did you mean device\?$/,
      'series?zone=a&zone=b': /^zone stands there twice\. Write it once$/,
      'totals?zone=a': /^zone is nothing to ask for here/,
      'zones/z1/aggregates?size=': /^size: "" is no window/,
    }
    for (const [question, expected] of Object.entries(wrong)) {
      const { status, body } = await api.ask(`/api/${question}`)
      expect({ question, status, error: body.error }).toEqual({
        question,
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

  it('describes itself, and stands beside the pages of its process', async () => {
    const { body } = await api.ask('/openapi.json')
    expect(body.openapi).toBe('3.1.0')
    expect(Object.keys(body.paths).sort()).toEqual([
      '/api/aggregates',
      '/api/series',
      '/api/totals',
      '/api/zones/{zone}/aggregates',
    ])
    const { parameters, responses } = body.paths['/api/aggregates'].get
    expect(parameters).toHaveLength(9)
    const told = responses['200'].content['application/json'].schema.properties.aggregates.items
    const [one] = (await api.ask(`/api/aggregates?${all}&limit=1`)).body.aggregates
    expect(Object.keys(told.properties).sort()).toEqual(Object.keys(one).sort())
    expect((await api.ask('/health')).body).toMatchObject({ status: 'running' })
    expect((await api.ask('/state')).body).toEqual({ part: 'consumer' })
  })
})

/** The values of a zone in order, by window, metric and unit. */
function valuesIn(zone: string, sizeMs: number): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const event of events.filter(one => one.zone === zone)) {
    const start = new Date(Math.floor(event.receivedAt / sizeMs) * sizeMs).toISOString()
    for (const { metric, unit, number, flag } of event.measurements) {
      const key = `${start} ${metric} ${unit}`
      found.set(key, [...(found.get(key) ?? []), number ?? Number(flag)])
    }
  }
  for (const values of found.values()) values.sort((one, other) => one - other)
  return found
}
