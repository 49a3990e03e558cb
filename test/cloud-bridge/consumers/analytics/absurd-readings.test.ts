import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readTotals } from '../../../../cloud-bridge/consumers/analytics/api/totals.ts'
import type { ConsumerDeadLetter } from '../../../../cloud-bridge/consumers/runtime/dead-letter.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import { encodeEvent, type SensorReading } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'
import { HOLD_MAX_MS, openAnalytics } from './reader.ts'

const NOW = Date.UTC(2026, 10, 23, 12)
const YEAR_2200 = Date.UTC(2200, 0)
const dir = mkdtempSync(join(tmpdir(), 'sluice-absurd-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

let runs = 0
/** What becomes of events: how they counted, the totals, and the dead letters. */
async function taken(
  events: SensorReading[],
  options: { seriesMax?: number; clockWaitMs?: number } = {},
) {
  await using store = openSqliteStates(join(dir, String(runs++)))
  await using state = await store.open('analytics')
  let absurd = 0
  const onAbsurd = (count: number) => {
    absurd += count
  }
  const corrections = { offsetOf: () => null }
  const { work, counts } = await openAnalytics({
    ...options,
    ...{ state, topic: 'readings', corrections, onAbsurd },
  })
  const records = events.map((event, offset) => ({
    ...{ partition: 0, offset, appendTimeMs: NOW, key: Buffer.from(event.zone), headers: {} },
    value: encodeEvent(event),
  }))
  for (let at = 0; at < records.length; at += 1000) {
    await work.processRecords(
      'readings',
      records.slice(at, at + 1000),
      new AbortController().signal,
    )
  }
  const waiting = await (await state.reader(0)).waiting(1e6)
  const letters = waiting.map(({ value }): ConsumerDeadLetter => JSON.parse(value.toString()))
  const totals = await readTotals(state, HOLD_MAX_MS)
  return { counts, letters, totals, absurd }
}

const measured = (metric: string, number: number) => ({
  ...{ metric, number, flag: null, text: null, unit: null },
})
function event(zoneSequence: number, more: Partial<SensorReading>): SensorReading {
  const time = { receivedAt: NOW, observedAt: null }
  const sequence = zoneSequence
  return {
    ...goldenEvent,
    ...time,
    measurements: [measured('a', 1)],
    zoneSequence,
    sequence,
    ...more,
  }
}

describe('absurd readings', () => {
  it('have values that no sensor means: those do not count, and what is beside them does', async () => {
    const values = [1e308, -1e308, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    const events = values.map((value, at) =>
      event(at + 1, { measurements: [measured('a', value), measured('b', 2)] }),
    )
    const { counts, letters, totals, absurd } = await taken(events)
    expect({ absurd, letters }).toEqual({ absurd: 5, letters: [] })
    expect(counts['in order']).toBe(5)
    expect(totals.metrics).toEqual([{ metric: 'b', count: 5, sum: 10 }])
  })

  it('have times that cannot be: dead letters that say so, unless only the device is wrong', async () => {
    const { letters, totals } = await taken([
      event(1, { receivedAt: YEAR_2200 }),
      event(2, { receivedAt: -1 }),
      event(3, { receivedAt: 2 ** 52 }),
      event(4, { observedAt: YEAR_2200 }),
      event(5, { observedAt: -(2 ** 50) }),
    ])
    expect(letters.map(({ offset, reason }) => ({ offset, reason }))).toEqual(
      [YEAR_2200, -1, 2 ** 52].map((time, offset) => ({
        offset,
        reason: `its time, ${time} ms since 1970, is absurd: Kafka heard it at ${NOW}`,
      })),
    )
    expect(totals.metrics).toEqual([{ metric: 'a', count: 2, sum: 2 }])
  })

  it('are of more devices than there may be: dead letters that say so, and the others count', async () => {
    const devices = (clock: SensorReading['clock']) =>
      Array.from({ length: 10_000 }, (_, at) =>
        event(at + 1, {
          device: `d${at}`,
          ...{ clock, receivedAt: NOW - 3_600_000 },
          measurements: [measured('a', 1), measured('b', 1)],
        }),
      )
    const { counts, letters, totals } = await taken(devices('SYNCED'), { seriesMax: 1001 })
    expect(counts).toMatchObject({ 'in order': 500, unusable: 9500 })
    expect(new Set(letters.map(({ reason }) => reason))).toEqual(
      new Set(['its partition has 1001 series (consumers.analytics.seriesMax)']),
    )
    expect(totals.metrics.map(({ count }) => count)).toEqual([500, 500])
    // What waits for its clock has its room already, so it cannot be too much when it counts.
    const held = await taken(devices('UNSYNCED'), { seriesMax: 1001 })
    expect(held.counts).toMatchObject({ 'in order': 500, unusable: 9500 })
    expect(held.totals.held).toBe(500)
  })
})
