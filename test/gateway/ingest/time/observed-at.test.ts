import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ClockState, Measurement } from '../../../../config/event/sensor-reading.ts'
import {
  createTimeExtraction,
  type TimeField,
} from '../../../../gateway/ingest/time/observed-at.ts'

const nothing = { number: null, flag: null, text: null, unit: null }
const co2: Measurement = { ...nothing, metric: 'co2', number: 400 }

const fieldOf = (time: {
  field?: string
  unit?: TimeField['unit']
  zone?: string | undefined
}): TimeField => {
  const { field = 'ts', unit = 'ms', zone } = time
  return { field, unit, ...(zone !== undefined && { zone }) }
}

const receivedAt = Date.UTC(2026, 5, 1)
const extract = (
  measurements: Measurement[],
  time?: Parameters<typeof fieldOf>[0],
  at = receivedAt,
) => {
  const route = time && fieldOf(time)
  return createTimeExtraction(route)(measurements, { receivedAt: at, clock: 'SYNCED' })
}

/** What becomes of a field `ts` with this value: its time, the kind of its problem, or a fault. */
function timeOf(value: number | string | boolean | null, unit: TimeField['unit'], zone?: string) {
  const ts: Measurement = {
    ...{ ...nothing, metric: 'ts' },
    ...(typeof value === 'number' && { number: value }),
    ...(typeof value === 'string' && { text: value }),
    ...(typeof value === 'boolean' && { flag: value }),
  }
  const timed = extract([co2, ts, { ...co2, metric: 'x' }], { field: 'ts', unit, zone })
  if ('reason' in timed) {
    expect(timed).toEqual({ reason: `no time in unit ${unit}`, place: 'ts' })
    return 'fault'
  }
  if (timed.observedAt === null && timed.problem) {
    expect(timed.measurements).toEqual([co2, ts, { ...co2, metric: 'x' }])
    return timed.problem.kind
  }
  expect(timed.measurements).toEqual([co2, { ...co2, metric: 'x' }])
  return timed.observedAt
}

describe("the device's own time", () => {
  it('is null where the route names none, or the message has none', () => {
    expect(extract([co2])).toEqual({ observedAt: null, measurements: [co2] })
    const named = extract([co2], { field: 'ts', unit: 'ms' })
    expect(named).toEqual({ observedAt: null, measurements: [co2] })
    expect(extract([], { unit: 'iso' })).toEqual({
      observedAt: null,
      measurements: [],
    })
  })

  it('is found under a nested name', () => {
    const measurements = [{ ...nothing, metric: 'meta.at', number: 5 }]
    expect(extract(measurements, { field: 'meta.at', unit: 's' })).toMatchObject({
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
    ...[' ', '5', 'hello 5', 'May 5', '2024-02-30', '2024-02-30T10:00:00Z', '2024-13-01'],
    ...['2024-01-01T25:00:00Z', '1700000000', ' 2024-01-01', '2024-W01-1', '2024', 5, true],
  ])('%j is no ISO 8601', value => {
    expect(timeOf(value, 'iso')).toBe('fault')
    expect(timeOf(value, 'iso', 'Europe/Berlin')).toBe('fault')
  })

  it.each([
    ...[' ', '\t5', '5 ', '0x10', '0b1', '1e3', '+5', '.5', '5.', 'Infinity', '1_000', 'now'],
    ...['2024-01-01', true, false, 1e300, -1e300, 8e15, -8e15],
  ])('%j is no time in ms', value => {
    expect(timeOf(value, 'ms')).toBe('fault')
  })

  it.each(['ms', 's', 'us', 'ns', 'iso'] as const)(
    'in %s is missing when it is null or empty',
    unit => {
      expect(timeOf(null, unit)).toBe(null)
      expect(timeOf('', unit)).toBe(null)
    },
  )

  it.each([
    ['2024-02-29T10:00:00', 'no offset', Date.UTC(2024, 1, 29, 9)],
    ['2024-07-29 10:00', 'no offset', Date.UTC(2024, 6, 29, 8)],
    ['2024-07-29t10:00:00.5', 'no offset', Date.UTC(2024, 6, 29, 8, 0, 0, 500)],
    ['2024-02-29', 'no offset', Date.UTC(2024, 1, 28, 23)],
    ['2024-03-31T02:30:00', 'no offset', 'skipped'],
    ['2024-02-29T10:00:00Z', Date.UTC(2024, 1, 29, 10), Date.UTC(2024, 1, 29, 10)],
  ])('%s is read in the time zone of the route only', (text, without, inBerlin) => {
    expect(timeOf(text, 'iso')).toBe(without)
    expect(timeOf(text, 'iso', 'Europe/Berlin')).toBe(inBerlin)
  })

  it('does not depend on the time zone of the process', () => {
    const before = process.env.TZ
    try {
      for (const zone of ['America/New_York', 'Asia/Kolkata']) {
        process.env.TZ = zone
        expect(timeOf('2024-02-29T10:00:00', 'iso')).toBe('no offset')
        expect(timeOf('2024-02-29T10:00:00', 'iso', 'Europe/Berlin')).toBe(Date.UTC(2024, 1, 29, 9))
      }
    } finally {
      if (before === undefined) delete process.env.TZ
      else process.env.TZ = before
    }
  })
})

describe('a time that cannot be right', () => {
  const problemOf = (number: number, unit: TimeField['unit'], clock: ClockState = 'SYNCED') => {
    const measurements = [{ ...nothing, metric: 'ts', number }]
    const timed = createTimeExtraction({ field: 'ts', unit })(measurements, { receivedAt, clock })
    return 'reason' in timed ? timed : { ...timed.problem, observedAt: timed.observedAt }
  }
  const seconds = receivedAt / 1000

  it('is kept, and its problem names the unit that fits', () => {
    expect(problemOf(seconds, 'ms')).toEqual({
      ...{ kind: 'too early', value: `${seconds}`, observedAt: seconds },
      cure: 'set time.unit of the route to s',
    })
    expect(problemOf(receivedAt, 's')).toMatchObject({
      ...{ kind: 'too late', cure: 'set time.unit of the route to ms' },
      observedAt: receivedAt * 1000,
    })
    expect(problemOf(0, 's')).toMatchObject({
      kind: 'too early',
      cure: 'set the clock of the device',
    })
  })

  it('begins a day after the receipt, unless the clock of the gateway is not trusted', () => {
    const dayMs = 86_400_000
    expect(problemOf(receivedAt + dayMs, 'ms')).toEqual({ observedAt: receivedAt + dayMs })
    expect(problemOf(receivedAt + dayMs + 1, 'ms')).toMatchObject({ kind: 'too late' })
    const unsynced = problemOf(receivedAt + 9 * dayMs, 'ms', 'UNSYNCED')
    expect(unsynced).toEqual({ observedAt: receivedAt + 9 * dayMs })
    expect(problemOf(receivedAt - 2000 * dayMs, 'ms')).not.toHaveProperty('kind')
  })
})
