import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { createCalendar } from '../../../../cloud-bridge/consumers/analytics/model/calendar.ts'
import { windowSizes } from '../../../../cloud-bridge/consumers/analytics/model/window-sizes.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { checkAggregation, eventOf, handleBatches, windowsIn } from './aggregation-model.ts'

const dir = mkdtempSync(join(tmpdir(), 'sluice-additivity-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
let runs = 0

const zones = ['UTC', 'Europe/Berlin', 'Asia/Kolkata', 'Australia/Lord_Howe', 'America/St_Johns']
const TWO_DAYS_MS = 172_800_000

const samples = fc.array(
  fc.record({
    device: fc.constant(0),
    at: fc.oneof(fc.integer({ min: 0, max: 4_000_000 }), fc.integer({ min: 0, max: TWO_DAYS_MS })),
    // Quarters, so that sums are exact.
    value: fc.integer({ min: -8, max: 80 }).map(quarters => quarters / 4),
    metrics: fc.constantFrom(...(['both', 'first', 'second'] as const)),
  }),
  { minLength: 1, maxLength: 40 },
)

const additive = ['count', 'sum', 'positiveMs', 'knownMs', 'rise', 'atReceipt'] as const
type Totals = Record<string, Record<(typeof additive)[number], number>>

/** Analytics on events in the order of the batches; then `work` on its state. */
async function onState<T>(
  batches: SensorReading[][],
  timeZone: string,
  work: (
    totals: (size: (typeof windowSizes)[number], zone?: string) => Promise<Totals>,
  ) => Promise<T>,
): Promise<T> {
  await using store = openSqliteStates(join(dir, String(runs++)))
  await using consumer = await store.open('analytics')
  await handleBatches(await consumer.claim(0), batches, false, timeZone)
  return await work(async (size, zone) => {
    const calendar = zone === undefined ? null : createCalendar(zone)
    const totals: Totals = {}
    for (const [name, window] of await windowsIn(consumer, size, { timeZone, calendar })) {
      const series = name.split(' ')[0]!
      const total = totals[series] ?? {
        ...{ count: 0, sum: 0, positiveMs: 0, knownMs: 0, rise: 0, atReceipt: 0 },
      }
      totals[series] = total
      for (const field of additive) total[field] += window[field]
    }
    return totals
  })
}

describe('windows of all sizes and time zones', () => {
  it('have the same sums of every additive measure, exactly', async () => {
    const check = async (readings: Parameters<typeof eventOf>[0][], timeZone: string) => {
      await onState([readings.map(eventOf)], timeZone, async totals => {
        const quarters = await totals('15m')
        for (const size of windowSizes) {
          expect(await totals(size), size).toEqual(quarters)
          for (const zone of zones) expect(await totals(size, zone), zone).toEqual(quarters)
        }
      })
    }
    await fc.assert(fc.asyncProperty(samples, fc.constantFrom(...zones), check), { numRuns: 12 })
  }, 120_000)

  it('count a held value in each window it spans', async () => {
    const hour = 3_600_000
    const reading = { device: 0, at: 50 * 60_000, value: 1, metrics: 'first' as const }
    await onState([[eventOf(reading, 0)]], 'UTC', async totals => {
      for (const size of windowSizes) {
        const [total] = Object.values(await totals(size))
        expect(total, size).toMatchObject({ count: 1, positiveMs: hour })
      }
    })
  })
})

describe('values with the same time', () => {
  it('order by the sequence of their events, in whatever order they arrive', async () => {
    const equal = fc.record({
      sequences: fc.uniqueArray(fc.integer({ min: 1, max: 2 ** 40 }), {
        minLength: 2,
        maxLength: 6,
      }),
      epochs: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 6, maxLength: 6 }),
      order: fc.array(fc.nat(), { minLength: 6, maxLength: 6 }),
      isRestarted: fc.boolean(),
    })
    const check = async ({
      sequences,
      epochs,
      order,
      isRestarted,
    }: typeof equal extends fc.Arbitrary<infer T> ? T : never) => {
      const events = sequences.map((sequence, index): SensorReading => {
        const isOn = sequence % 2 === 0
        const measurement = { metric: 'motion', number: null, flag: isOn, text: null, unit: null }
        const event = eventOf({ device: 0, at: 0, value: 0, metrics: 'both' }, index)
        return { ...event, sequence, epoch: epochs[index]!, measurements: [measurement] }
      })
      const later = eventOf({ device: 0, at: 600_000, value: 0, metrics: 'both' }, 50)
      const batches = events
        .toSorted((a, b) => order[events.indexOf(a)]! - order[events.indexOf(b)]!)
        .map(event => [event])
      await using store = openSqliteStates(join(dir, String(runs++)))
      await using consumer = await store.open('analytics')
      await handleBatches(await consumer.claim(0), [[later], ...batches], isRestarted)
      const windows = await windowsIn(consumer, '15m')
      const motion = [...windows].find(([name]) => name.includes('/motion '))!
      const last = Math.max(...sequences) % 2 === 0 ? 1 : 0
      expect(motion[1]).toMatchObject({ last, positiveMs: last * 900_000 })
    }
    await fc.assert(fc.asyncProperty(equal, check), { numRuns: 60 })
  }, 60_000)
})

describe('days of a time zone', () => {
  it('equal a plain computation, with days of 23 and 25 hours', async () => {
    for (const timeZone of ['Europe/Berlin', 'Australia/Lord_Howe', 'Asia/Kathmandu']) {
      await checkAggregation({ spanMs: TWO_DAYS_MS, numRuns: 12, timeZone })
    }
  }, 120_000)
})
