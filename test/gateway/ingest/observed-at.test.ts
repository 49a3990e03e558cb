import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Measurement } from '../../../config/event/sensor-reading.ts'
import { extractObservedAt, type TimeField } from '../../../gateway/ingest/observed-at.ts'

const nothing = { number: null, flag: null, text: null, unit: null }
const co2: Measurement = { ...nothing, metric: 'co2', number: 400 }

/** The time that is read from a field `ts` with this value; null when the value is not a time. */
function timeOf(value: number | string | boolean | null, unit: TimeField['unit']) {
  const ts: Measurement = {
    ...{ ...nothing, metric: 'ts' },
    ...(typeof value === 'number' && { number: value }),
    ...(typeof value === 'string' && { text: value }),
    ...(typeof value === 'boolean' && { flag: value }),
  }
  const timed = extractObservedAt([co2, ts, { ...co2, metric: 'x' }], { field: 'ts', unit })
  if ('reason' in timed) {
    expect(timed).toEqual({ reason: `no time in unit ${unit}`, place: 'ts' })
    return null
  }
  expect(timed.measurements).toEqual([co2, { ...co2, metric: 'x' }])
  return timed.observedAt
}

describe("the device's own time", () => {
  it('is null where the route names none, or the message has none', () => {
    expect(extractObservedAt([co2], undefined)).toEqual({ observedAt: null, measurements: [co2] })
    const named = extractObservedAt([co2], { field: 'ts', unit: 'ms' })
    expect(named).toEqual({ observedAt: null, measurements: [co2] })
    expect(extractObservedAt([], { field: 'ts', unit: 'iso' })).toEqual({
      observedAt: null,
      measurements: [],
    })
  })

  it('is found under a nested name', () => {
    const measurements = [{ ...nothing, metric: 'meta.at', number: 5 }]
    expect(extractObservedAt(measurements, { field: 'meta.at', unit: 's' })).toEqual({
      observedAt: 5000,
      measurements: [],
    })
  })

  it.each([
    [1_700_000_000_123, 'ms', 1_700_000_000_123],
    [1_700_000_000, 's', 1_700_000_000_000],
    [1_700_000_000.123, 's', 1_700_000_000_123],
    [1_700_000_000_123_456, 'us', 1_700_000_000_123],
    [1_700_000_000_123_456_800, 'ns', 1_700_000_000_123],
    ['1700000000123456789', 'ns', 1_700_000_000_123],
    ['1700000000.5', 's', 1_700_000_000_500],
    ['-5', 's', -5000],
    [0, 'ms', 0],
    [-1, 's', -1000],
  ] as const)('%s %s is %i ms', (value, unit, ms) => {
    expect(timeOf(value, unit)).toBe(ms)
  })

  it('is exact to the millisecond in every unit, as number and as digits', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_000_000_000_000, max: 253_000_000_000_000 }), ms => {
        expect(timeOf(ms, 'ms')).toBe(ms)
        expect(timeOf(`${ms}`, 'ms')).toBe(ms)
        expect(timeOf(ms / 1000, 's')).toBe(ms)
        expect(timeOf(`${ms}000`, 'us')).toBe(ms * 1)
        expect(timeOf(`${ms}000000`, 'ns')).toBe(ms)
        expect(timeOf(ms * 1_000_000, 'ns')).toBe(ms)
      }),
      { numRuns: 1000 },
    )
  })

  it.each([
    ['2024-02-29T10:00:00Z', 1_709_200_800_000],
    ['2024-02-29T10:00:00.123456789Z', 1_709_200_800_123],
    ['2024-02-29T11:00:00+01:00', 1_709_200_800_000],
    ['2024-02-29T05:00:00-0500', 1_709_200_800_000],
    ['2024-02-29 10:00Z', 1_709_200_800_000],
    ['2024-02-29t10:00:00z', 1_709_200_800_000],
    ['2024-02-29', 1_709_164_800_000],
  ])('%s is ISO 8601', (text, ms) => {
    expect(timeOf(text, 'iso')).toBe(ms)
  })

  it('is read exactly as toISOString writes it', () => {
    const date = fc.date({ noInvalidDate: true, min: new Date(-(2 ** 52)), max: new Date(2 ** 52) })
    fc.assert(
      fc.property(date, value => {
        expect(timeOf(value.toISOString(), 'iso')).toBe(value.getTime())
      }),
    )
  })

  it.each([
    ...['', ' ', '5', 'hello 5', 'May 5', '2024-02-30', '2024-02-30T10:00:00Z', '2024-13-01'],
    ...['2024-01-01T25:00:00Z', '1700000000', ' 2024-01-01', '2024-W01-1', '2024', 5, true, null],
  ])('%j is no ISO 8601', value => {
    expect(timeOf(value, 'iso')).toBe(null)
  })

  it.each([
    ...['', ' ', '\t5', '5 ', '0x10', '0b1', '1e3', '+5', '.5', '5.', 'Infinity', '1_000', 'now'],
    ...['2024-01-01', true, false, null, 1e300, -1e300, 8e15, -8e15],
  ])('%j is no time in ms', value => {
    expect(timeOf(value, 'ms')).toBe(null)
  })
})
