import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readTotals } from '../../../../cloud-bridge/consumers/analytics/api/totals.ts'
import type { ConsumerDeadLetter } from '../../../../cloud-bridge/consumers/runtime/dead-letter.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import { encodeEvent, type SensorReading } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'
import { apiContext, openAnalytics } from './analytics-fixture.ts'

const NOW = Date.UTC(2026, 10, 23, 12)
const YEAR_2200 = Date.UTC(2200, 0)
const dir = mkdtempSync(join(tmpdir(), 'sluice-implausible-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

let runs = 0
/** Processes events; returns their counts, the totals, and the dead letters. */
async function process(
  events: SensorReading[],
  options: { seriesMax?: number; clockWaitMs?: number } = {},
) {
  await using store = openSqliteStates(join(dir, String(runs++)))
  await using state = await store.open('analytics')
  let implausible = 0
  const onImplausibleValues = (count: number) => {
    implausible += count
  }
  const clockOffsets = { offsetOf: () => null }
  const { work, counts } = await openAnalytics({
    ...options,
    ...{ state, topic: 'readings', clockOffsets, onImplausibleValues },
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
  const effects = await (await state.reader(0)).pendingEffects(1e6)
  const deadLetters = effects.map(({ value }): ConsumerDeadLetter => JSON.parse(value.toString()))
  const totals = await readTotals(state, apiContext)
  return { counts, deadLetters, totals, implausible }
}

const measured = (metric: string, number: number) => ({
  ...{ metric, number, flag: null, text: null, unit: null },
})
function event(zoneSequence: number, fields: Partial<SensorReading>): SensorReading {
  const time = { receivedAt: NOW, observedAt: null }
  const sequence = zoneSequence
  return {
    ...goldenEvent,
    ...time,
    measurements: [measured('a', 1)],
    zoneSequence,
    sequence,
    ...fields,
  }
}

describe('implausible readings', () => {
  it('with implausible values count without those values', async () => {
    const values = [1e308, -1e308, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    const events = values.map((value, at) =>
      event(at + 1, { measurements: [measured('a', value), measured('b', 2)] }),
    )
    const { counts, deadLetters, totals, implausible } = await process(events)
    expect({ implausible, deadLetters }).toEqual({ implausible: 5, deadLetters: [] })
    expect(counts['in order']).toBe(5)
    expect(totals.metrics).toEqual([{ metric: 'b', count: 5, sum: 10 }])
  })

  it('with an impossible gateway time become dead letters with that reason; a wrong device time is replaced', async () => {
    const { deadLetters, totals } = await process([
      event(1, { receivedAt: YEAR_2200 }),
      event(2, { receivedAt: -1 }),
      event(3, { receivedAt: 2 ** 52 }),
      event(4, { observedAt: YEAR_2200 }),
      event(5, { observedAt: -(2 ** 50) }),
    ])
    const valid = `0 to a day after Kafka's append time ${NOW}`
    expect(deadLetters.map(({ offset, reason }) => ({ offset, reason }))).toEqual(
      [YEAR_2200, -1, 2 ** 52].map((time, offset) => ({
        offset,
        reason: `event time ${time} ms since 1970 is impossible; valid is ${valid}`,
      })),
    )
    expect(totals.metrics).toEqual([{ metric: 'a', count: 2, sum: 2 }])
  })

  it('of more devices than allowed become dead letters with that reason; the others count', async () => {
    const devices = (clock: SensorReading['clock']) =>
      Array.from({ length: 10_000 }, (_, at) =>
        event(at + 1, {
          device: `d${at}`,
          ...{ clock, receivedAt: NOW - 3_600_000 },
          measurements: [measured('a', 1), measured('b', 1)],
        }),
      )
    const { counts, deadLetters, totals } = await process(devices('SYNCED'), { seriesMax: 1001 })
    expect(counts).toMatchObject({ 'in order': 500, unusable: 9500 })
    expect(new Set(deadLetters.map(({ reason }) => reason))).toEqual(
      new Set([
        "the event's new series exceed the partition's limit of 1001 series; raise consumers.analytics.seriesMax",
      ]),
    )
    expect(totals.metrics.map(({ count }) => count)).toEqual([500, 500])
    // The series of a pending reading count already, so there is room when its time is known.
    const pending = await process(devices('UNSYNCED'), { seriesMax: 1001 })
    expect(pending.counts).toMatchObject({ 'in order': 500, unusable: 9500 })
    expect(pending.totals.held).toBe(500)
  })
})
