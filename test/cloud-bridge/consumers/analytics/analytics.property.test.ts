import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAnalytics } from '../../../../cloud-bridge/consumers/analytics/analytics.ts'
import { listSeries } from '../../../../cloud-bridge/consumers/analytics/api/series-list.ts'
import { readCompleteWindows } from '../../../../cloud-bridge/consumers/analytics/api/windows.ts'
import type { Aggregate } from '../../../../cloud-bridge/consumers/analytics/model/aggregate.ts'
import {
  statisticsOf,
  type WindowStatistics,
} from '../../../../cloud-bridge/consumers/analytics/model/partial-aggregate.ts'
import {
  type WindowSize,
  windowSizesMs,
} from '../../../../cloud-bridge/consumers/analytics/model/series.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import type {
  ConsumerState,
  PartitionState,
} from '../../../../cloud-bridge/consumers/state/state.ts'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'
import { byHand } from './by-hand.ts'

const DAY = Date.UTC(2026, 10, 23)
const HOLD_MAX_MS = 3_600_000
const options = {
  ...{ topic: 'aggregates', publish: ['15m', '1h', '1d'] as WindowSize[], latenessMs: 0 },
  ...{ seriesMax: 1000, clockWaitMs: 0, holdMaxMs: HOLD_MAX_MS, onAbsurd: () => {} },
  corrections: { offsetOf: () => null },
}

/** Which of two metrics a reading has. */
const metricsOf = { both: ['energy', 'power'], one: ['energy'], other: ['power'] }

type Sample = { device: number; at: number; value: number; metrics: keyof typeof metricsOf }

/** Readings of two days, more of them close to each other than far. */
const samples = fc.array(
  fc.record({
    device: fc.integer({ min: 0, max: 1 }),
    at: fc.oneof(
      fc.integer({ min: 0, max: 100_000 }),
      fc.integer({ min: 0, max: 5_000_000 }),
      fc.integer({ min: 0, max: 172_800_000 }),
    ),
    value: fc.integer({ min: -3, max: 40 }),
    metrics: fc.constantFrom(...(['both', 'one', 'other'] as const)),
  }),
  { minLength: 1, maxLength: 60 },
)

function eventOf({ device, at, value, metrics }: Sample, index: number): SensorReading {
  const common = { flag: null, text: null, unit: 'kW.h' }
  const measurements = metricsOf[metrics].map((metric, nth) => ({
    ...{ metric, number: value + nth, ...common },
  }))
  const time = { receivedAt: DAY + at, observedAt: null, clock: 'SYNCED' as const }
  const name = { site: 'hq', zone: 'z1', device: `d${device}` }
  return { ...goldenEvent, ...name, ...time, zoneSequence: index + 1, measurements }
}

/**
 * Handles events in batches, each committed, sometimes by a new handling on the state; then once
 * more nothing. Gives what was told last of each window.
 */
async function handled(state: PartitionState, batches: SensorReading[][], isRestarted: boolean) {
  let handling = await createAnalytics(state, options)
  const told = new Map<string, Aggregate>()
  for (const events of [...batches, []]) {
    if (isRestarted) handling = await createAnalytics(state, options)
    const arrived = events.map(event => ({
      ...{ event, arrival: 'in order' as const, topic: 'readings' },
      record: {
        ...{ partition: 0, offset: 0, key: null, value: Buffer.alloc(0), headers: {} },
        appendTimeMs: event.receivedAt,
      },
    }))
    // As large batches come, in several rounds.
    const half = Math.ceil(arrived.length / 2)
    for (const round of [arrived.slice(0, half), arrived.slice(half)]) {
      await handling.load(round)
      for (const one of round) handling.handle(one)
    }
    const { rows, effects } = handling.takeChanges()
    for (const { id, value } of effects) told.set(id, JSON.parse(value.toString()))
    await state.commit({ rows })
  }
  return [...told.values()]
}

/** As a reader of the state finds them: those that have a row, and those in which series end. */
async function windowsIn(state: ConsumerState, size: WindowSize) {
  const found = new Map<string, WindowStatistics>()
  for await (const listed of listSeries(state, {}, null)) {
    const { site, zone, device, metric } = listed.name
    const wanted = { size, from: 0, to: Number.MAX_SAFE_INTEGER }
    for await (const { start, piece, before, sketch } of readCompleteWindows(
      listed,
      wanted,
      HOLD_MAX_MS,
    )) {
      expect(sketch.count).toBe(piece.count)
      const result = statisticsOf(
        piece,
        before,
        { start, end: start + windowSizesMs[size] },
        HOLD_MAX_MS,
      )
      found.set(`${site}/${zone}/${device}/${metric} ${start}`, result)
    }
  }
  return found
}

const keyOf = ({ site, zone, device, metric, start }: Aggregate) =>
  `${site}/${zone}/${device}/${metric} ${Date.parse(start)}`
const endOf = (key: string, size: WindowSize) => Number(key.split(' ')[1]) + windowSizesMs[size]

/** What is told of a window has to be what it comes to at last. */
function inTheEnd(expected: ReturnType<typeof byHand>, told: Aggregate) {
  const { count, min, max, last, rise, timeWeightedMean } = expected.get(keyOf(told))!
  const near = (value: number) => expect.closeTo(value, 6)
  const mean = timeWeightedMean === null ? null : near(timeWeightedMean)
  return { count, min, max, last, energyKwh: near(rise), timeWeightedMean: mean }
}

function expectEqual(
  found: Awaited<ReturnType<typeof windowsIn>>,
  expected: ReturnType<typeof byHand>,
) {
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort())
  for (const [name, want] of expected) {
    const got = found.get(name)!
    for (const [what, value] of Object.entries(want)) {
      const is = got[what as keyof typeof want]
      if (value === null) expect(is, `${name} ${what}`).toBeNull()
      else
        expect(
          Math.abs((is as number) - value),
          `${name} ${what}: ${is} for ${value}`,
        ).toBeLessThan(1e-6)
    }
  }
}

/** A series that leaves a minute, and gets a late point of it, in one batch. */
const leftAndLate = [0, 0, 0, 60_000, 0].map(
  (at): Sample => ({ device: 0, at, value: 0, metrics: 'both' }),
)

describe('analytics', () => {
  it('comes to what a plain computation over all readings does, whatever order they come in and wherever batches end', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-analytics-'))
    let runs = 0
    try {
      await fc.assert(
        fc.asyncProperty(
          samples,
          fc.integer({ min: 1, max: 20 }),
          fc.boolean(),
          async (all, size, isRestarted) => {
            const events = all.map(eventOf)
            const batches: SensorReading[][] = []
            for (let at = 0; at < events.length; at += size)
              batches.push(events.slice(at, at + size))
            await using store = openSqliteStates(join(dir, String(runs++)))
            await using consumer = await store.open('analytics')
            const state = await consumer.claim(0)
            const told = await handled(state, batches, isRestarted)
            const heardMs = Math.max(...events.map(({ receivedAt }) => receivedAt))
            for (const name of ['15m', '1h', '1d'] as const) {
              const expected = byHand(events, windowSizesMs[name], HOLD_MAX_MS)
              expectEqual(await windowsIn(consumer, name), expected)
              const own = told.filter(({ size }) => size === name)
              for (const one of own) expect(one).toMatchObject(inTheEnd(expected, one))
              const over = [...expected.keys()].filter(key => endOf(key, name) <= heardMs)
              // A new handling has heard nothing yet.
              if (!isRestarted) expect(own.map(keyOf)).toEqual(expect.arrayContaining(over))
            }
          },
        ),
        { numRuns: 200, examples: [[leftAndLate, 3, false]] },
      )
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  }, 60_000)
})
