import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect } from 'vitest'
import { createAnalytics } from '../../../../cloud-bridge/consumers/analytics/analytics.ts'
import { readCompleteWindows } from '../../../../cloud-bridge/consumers/analytics/api/complete-windows.ts'
import { listSeries } from '../../../../cloud-bridge/consumers/analytics/api/series-list.ts'
import type { Aggregate } from '../../../../cloud-bridge/consumers/analytics/model/aggregate.ts'
import {
  type Calendar,
  createCalendar,
  createCalendars,
} from '../../../../cloud-bridge/consumers/analytics/model/calendar.ts'
import {
  statisticsOf,
  type WindowStatistics,
} from '../../../../cloud-bridge/consumers/analytics/model/partial-aggregate.ts'
import {
  type WindowSize,
  windowLengthMs,
  windowSizes,
} from '../../../../cloud-bridge/consumers/analytics/model/window-sizes.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import type {
  ConsumerState,
  PartitionState,
} from '../../../../cloud-bridge/consumers/state/state.ts'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'
import { expectedWindows } from './expected-windows.ts'

const START = Date.UTC(2026, 10, 23)
export const HOLD_MAX_MS = 3_600_000
const options = {
  ...{ topic: 'aggregates', publish: windowSizes, latenessMs: 0 },
  ...{ seriesMax: 1000, clockWaitMs: 0, holdMaxMs: HOLD_MAX_MS, onImplausibleValues: () => {} },
  clockOffsets: { offsetOf: () => null },
}

/** Which of two metrics a reading has. */
const metricsOf = { both: ['energy', 'power'], first: ['energy'], second: ['power'] }

export type Sample = { device: number; at: number; value: number; metrics: keyof typeof metricsOf }

/** Readings of `spanMs`, more of them close to each other than far apart. */
const samplesOf = (spanMs: number) =>
  fc.array(
    fc.record({
      device: fc.integer({ min: 0, max: 1 }),
      at: fc.oneof(
        fc.integer({ min: 0, max: 100_000 }),
        fc.integer({ min: 0, max: 5_000_000 }),
        fc.integer({ min: 0, max: spanMs }),
      ),
      value: fc.integer({ min: -3, max: 40 }),
      metrics: fc.constantFrom(...(['both', 'first', 'second'] as const)),
    }),
    { minLength: 1, maxLength: 60 },
  )

export function eventOf({ device, at, value, metrics }: Sample, index: number): SensorReading {
  const common = { flag: null, text: null, unit: 'kW.h' }
  const measurements = metricsOf[metrics].map((metric, nth) => ({
    ...{ metric, number: value + nth, ...common },
  }))
  const time = { receivedAt: START + at, observedAt: null, clock: 'SYNCED' as const }
  const name = { site: 'hq', zone: 'z1', device: `d${device}` }
  const numbers = { sequence: index + 1, zoneSequence: index + 1 }
  return { ...goldenEvent, ...name, ...time, ...numbers, measurements }
}

/**
 * Handles events in batches and commits each. Then commits empty batches: each window whose last
 * value still counts in the next window publishes that window with the next commit. With
 * `isRestarted`, each batch has a new handling on the state. Returns the last published aggregate
 * of each window.
 */
export async function handleBatches(
  state: PartitionState,
  batches: SensorReading[][],
  isRestarted: boolean,
  timeZone = 'UTC',
) {
  const zoned = { ...options, timeZone }
  let handling = await createAnalytics(state, zoned)
  const published = new Map<string, Aggregate>()
  for (const events of [...batches, ...Array.from({ length: 8 }, () => [])]) {
    if (isRestarted) handling = await createAnalytics(state, zoned)
    const received = events.map(event => ({
      ...{ event, arrival: 'in order' as const, topic: 'readings' },
      record: {
        ...{ partition: 0, offset: 0, key: null, value: Buffer.alloc(0), headers: {} },
        appendTimeMs: event.receivedAt,
      },
    }))
    // A large batch is loaded in several rounds.
    const half = Math.ceil(received.length / 2)
    for (const round of [received.slice(0, half), received.slice(half)]) {
      await handling.load(round)
      for (const receivedEvent of round) handling.handle(receivedEvent)
    }
    await handling.prepareCommit?.()
    const { rows, effects } = handling.drainChanges()
    for (const { id, value } of effects) published.set(id, JSON.parse(value.toString()))
    await state.commit({ rows })
  }
  return [...published.values()]
}

/** The windows of a size as the read API finds them in the state. */
export async function windowsIn(
  state: ConsumerState,
  size: WindowSize,
  { timeZone = 'UTC', calendar = null }: { timeZone?: string; calendar?: Calendar | null } = {},
) {
  const found = new Map<string, WindowStatistics & { rise: number }>()
  const calendars = createCalendars({ timeZone, siteTimeZones: [] })
  const context = { holdMaxMs: HOLD_MAX_MS, calendars }
  for await (const series of listSeries(state, {}, null, calendars)) {
    const { site, zone, device, metric } = series.name
    const range = { size, from: 0, to: START + 100 * 86_400_000, calendar }
    for await (const window of readCompleteWindows(series, range, context)) {
      const { start, partial, before, sketch } = window
      expect(sketch.count).toBe(partial?.count ?? 0)
      const statistics = statisticsOf(partial, before, window, HOLD_MAX_MS)
      const name = `${site}/${zone}/${device}/${metric} ${start}`
      expect(found.has(name), name).toBe(false)
      found.set(name, { ...statistics, rise: statistics.meter?.rise ?? 0 })
    }
  }
  return found
}

const keyOf = ({ site, zone, device, metric, start }: Aggregate) =>
  `${site}/${zone}/${device}/${metric} ${Date.parse(start)}`
const startOf = (key: string) => Number(key.split(' ')[1])

/** The fields that the last published aggregate of a window has to have. */
function finalFieldsOf(expected: ReturnType<typeof expectedWindows>, aggregate: Aggregate) {
  const window = expected.get(keyOf(aggregate))!
  const { count, min, max, last, rise, timeWeightedMean } = window
  const near = (value: number) => expect.closeTo(value, 6)
  const mean = timeWeightedMean === null ? null : near(timeWeightedMean)
  return { count, min, max, last, energyKwh: near(rise), timeWeightedMean: mean }
}

export function expectEqual(
  found: Awaited<ReturnType<typeof windowsIn>>,
  expected: ReturnType<typeof expectedWindows>,
) {
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort())
  for (const [name, window] of expected) {
    const statistics = found.get(name)!
    for (const [field, value] of Object.entries(window)) {
      const actual = statistics[field as keyof typeof window]
      if (value === null) expect(actual, `${name} ${field}`).toBeNull()
      else {
        const message = `${name} ${field}: ${actual} instead of ${value}`
        expect(Math.abs((actual as number) - value), message).toBeLessThan(1e-6)
      }
    }
  }
}

/** A series that leaves a minute, and gets a late point of that minute, in one batch. */
const lateInOneBatch = [0, 0, 0, 60_000, 0].map(
  (at): Sample => ({ device: 0, at, value: 0, metrics: 'both' }),
)

/**
 * Checks that analytics gives the windows of a plain computation over all readings, in whatever
 * order the readings arrive and wherever batches end. Checks all sizes of the table of window
 * sizes, on readings of `spanMs`.
 */
export async function checkAggregation({
  spanMs,
  numRuns,
  timeZone = 'UTC',
}: {
  spanMs: number
  numRuns: number
  timeZone?: string
}) {
  const calendar = createCalendar(timeZone)
  const dir = mkdtempSync(join(tmpdir(), 'sluice-analytics-'))
  let runs = 0
  const check = async (samples: Sample[], batchSize: number, isRestarted: boolean) => {
    const events = samples.map(eventOf)
    const batches: SensorReading[][] = []
    for (let at = 0; at < events.length; at += batchSize) {
      batches.push(events.slice(at, at + batchSize))
    }
    await using store = openSqliteStates(join(dir, String(runs++)))
    await using consumer = await store.open('analytics')
    const state = await consumer.claim(0)
    const published = await handleBatches(state, batches, isRestarted, timeZone)
    const watermark = Math.max(...events.map(({ receivedAt }) => receivedAt))
    for (const size of windowSizes) {
      const lengthMs = windowLengthMs(size)
      const expected = expectedWindows(events, lengthMs, HOLD_MAX_MS, { calendar })
      expectEqual(await windowsIn(consumer, size, { timeZone }), expected)
      const ofSize = published.filter(aggregate => aggregate.size === size)
      for (const aggregate of ofSize) {
        expect(aggregate).toMatchObject(finalFieldsOf(expected, aggregate))
      }
      const isEnded = (key: string) => calendar.endOf(lengthMs, startOf(key)) <= watermark
      const ended = [...expected.keys()].filter(isEnded)
      // A new handling has no watermark yet.
      if (!isRestarted) expect(ofSize.map(keyOf)).toEqual(expect.arrayContaining(ended))
    }
  }
  try {
    const batchSize = fc.integer({ min: 1, max: 20 })
    await fc.assert(fc.asyncProperty(samplesOf(spanMs), batchSize, fc.boolean(), check), {
      ...{ numRuns, examples: [[lateInOneBatch, 3, false]] },
    })
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
