import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBuildingMessages } from '../../../simulators/building/messages.ts'
import { type Device, planBuilding } from '../../../simulators/building/plan.ts'
import { drawAt, mulberry32, noiseAt } from '../../../simulators/building/random.ts'
import { createBuilding, type Measurements } from '../../../simulators/building/readings.ts'

const seeds = fc.integer()
const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** Monday, 2 March 2026, 0:00. */
const mondayMs = Date.UTC(2026, 2, 2)
/** Moments from 2020 to 2050. */
const moments = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2050, 0, 1) })

const bounds: Record<string, { low: number; high: number; decimals: number }> = {
  temperature: { low: 12, high: 32, decimals: 2 },
  humidity: { low: 5, high: 95, decimals: 1 },
  co2: { low: 390, high: 1600, decimals: 0 },
  voc: { low: 40, high: 450, decimals: 0 },
  pm2_5: { low: 0, high: 20, decimals: 1 },
  people: { low: 0, high: 15, decimals: 0 },
  power_w: { low: 5, high: 6000, decimals: 1 },
  energy_kwh: { low: 0, high: 1e6, decimals: 3 },
}
const metricsOf = {
  climate: ['temperature', 'humidity'],
  co2: ['co2', 'voc', 'pm2_5'],
  occupancy: ['people', 'motion'],
  energy: ['power_w', 'energy_kwh'],
}

function expectRealistic(device: Device, measurements: Measurements) {
  expect(Object.keys(measurements)).toEqual(metricsOf[device.kind])
  for (const [metric, value] of Object.entries(measurements)) {
    const bound = bounds[metric]
    if (!bound) {
      expect(typeof value).toBe('boolean')
      continue
    }
    expect(value).toBeGreaterThanOrEqual(bound.low)
    expect(value).toBeLessThanOrEqual(bound.high)
    expect(String(value).split('.')[1]?.length ?? 0).toBeLessThanOrEqual(bound.decimals)
  }
}

/**
 * The mean of a metric over all devices of a kind, sampled every 10 minutes between two moments.
 */
function meanOf(devices: Device[], metric: string, fromMs: number, toMs: number): number {
  const building = createBuilding()
  let sum = 0
  let count = 0
  for (let timeMs = fromMs; timeMs < toMs; timeMs += hourMs / 6) {
    for (const device of devices) {
      const value = building.readingAt(device, timeMs)[metric]
      if (value === undefined) continue
      sum += Number(value)
      count++
    }
  }
  return sum / count
}

describe('the plan of a building', () => {
  it('has exactly the given number of devices, with unique names, 1 to 10 in each zone', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 3000 }), (seed, count) => {
        const devices = planBuilding({ seed, devices: count })
        expect(devices).toHaveLength(count)
        expect(new Set(devices.map(({ name }) => name)).size).toBe(count)
        const zones = Map.groupBy(devices, ({ zoneIndex }) => zoneIndex)
        for (const inZone of zones.values()) {
          expect(inZone.length).toBeLessThanOrEqual(10)
          expect(new Set(inZone.map(({ site, zone }) => `${site}/${zone}`)).size).toBe(1)
        }
        expect(new Set(devices.map(({ site, zone }) => `${site}/${zone}`)).size).toBe(zones.size)
      }),
      { numRuns: 50 },
    )
  })

  it('names sites, floors, zones and devices so that they fit a topic', () => {
    const devices = planBuilding({ seed: 7, devices: 2000, sites: 3 })
    expect(devices[0]).toMatchObject({ site: 'hq', zone: 'f1-east', name: 'hq-f1-east-climate-1' })
    expect(new Set(devices.map(({ site }) => site))).toEqual(new Set(['hq', 'annex', 'campus']))
    for (const { site, floor, zone, name, kind } of devices) {
      expect(name).toMatch(/^[a-z0-9-]+$/)
      expect(name.startsWith(`${site}-${zone}-${kind}-`)).toBe(true)
      expect(zone.startsWith(`f${floor}-`)).toBe(true)
    }
    expect(devices.length / new Set(devices.map(({ zoneIndex }) => zoneIndex)).size).toBeCloseTo(
      8,
      0,
    )
  })

  it('is the same for the same seed, and differs for another', () => {
    const plan = { seed: 3, devices: 500 }
    expect(planBuilding(plan)).toEqual(planBuilding(plan))
    expect(planBuilding(plan)).not.toEqual(planBuilding({ ...plan, seed: 4 }))
  })

  it('rejects a plan with a wrong number of devices or sites', () => {
    expect(() => planBuilding({ seed: 1, devices: 0 })).toThrow('devices is 0')
    expect(() => planBuilding({ seed: 1, devices: 9, sites: 1.5 })).toThrow('sites is 1.5')
  })
})

describe('a simulated building', () => {
  it('gives the same messages for the same seed and times', () => {
    fc.assert(
      fc.property(seeds, moments, fc.integer({ min: 1, max: 90_000 }), (seed, startMs, stepMs) => {
        const run = () => {
          const devices = planBuilding({ seed, devices: 30 })
          const next = createBuildingMessages({ devices, seed, startMs, stepMs })
          return Array.from({ length: 90 }, (_, n) => next(n))
        }
        const once = run()
        expect(run()).toEqual(once)
        expect(new Set(once.slice(0, 30).map(({ device }) => device.name)).size).toBe(30)
      }),
      { numRuns: 25 },
    )
  })

  it('gives the same readings however often it is read', () => {
    const devices = planBuilding({ seed: 5, devices: 40 })
    const [often, seldom] = [createBuilding(), createBuilding()]
    for (let minute = 0; minute < 600; minute++) {
      for (const device of devices) often.readingAt(device, mondayMs + minute * 60_000)
    }
    for (const device of devices) seldom.readingAt(device, mondayMs)
    const laterMs = mondayMs + 601 * 60_000
    for (const device of devices) {
      expect(seldom.readingAt(device, laterMs)).toEqual(often.readingAt(device, laterMs))
    }
  })

  it('stays within the range and resolution of real building sensors', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 3 * dayMs }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(seeds, moments, gaps, (seed, startMs, gapsMs) => {
        const devices = planBuilding({ seed, devices: 24 })
        const building = createBuilding()
        let timeMs = startMs
        for (const gapMs of gapsMs) {
          timeMs += gapMs
          for (const device of devices) {
            expectRealistic(device, building.readingAt(device, timeMs))
          }
        }
      }),
    )
  })

  it('never runs a meter backwards, whatever the clock does, nor from one run to the next', () => {
    const jumps = fc.array(fc.integer({ min: -dayMs, max: 4 * dayMs }), { maxLength: 20 })
    fc.assert(
      fc.property(seeds, moments, jumps, (seed, startMs, jumpsMs) => {
        const devices = planBuilding({ seed, devices: 8 })
        const meter = devices.find(({ kind }) => kind === 'energy') ?? devices[0]!
        const building = createBuilding()
        let last = 0
        let timeMs = startMs
        for (const jumpMs of jumpsMs) {
          timeMs += jumpMs
          const { energy_kwh: now = 0 } = building.readingAt(meter, timeMs)
          if (jumpMs >= 0) expect(now).toBeGreaterThanOrEqual(last)
          last = Number(now)
        }
      }),
    )
    const meters = planBuilding({ seed: 1, devices: 200 }).filter(({ kind }) => kind === 'energy')
    const [first, second] = [createBuilding(), createBuilding()]
    for (const meter of meters) {
      first.readingAt(meter, mondayMs)
      const before = Number(first.readingAt(meter, mondayMs + 1.5 * dayMs).energy_kwh)
      const after = Number(second.readingAt(meter, mondayMs + 1.5 * dayMs).energy_kwh)
      expect(after).toBeGreaterThan(before)
    }
  })

  it('follows day and week: people raise CO2, temperature and power', () => {
    const devices = planBuilding({ seed: 11, devices: 320 })
    const during = (metric: string, day: number, from: number, to: number) => {
      const startMs = mondayMs + day * dayMs
      return meanOf(devices, metric, startMs + from * hourMs, startMs + to * hourMs)
    }
    expect(during('people', 1, 9, 11)).toBeGreaterThan(2)
    expect(during('people', 1, 0, 5)).toBe(0)
    expect(during('people', 5, 9, 11)).toBeLessThan(0.3)
    for (const [metric, more] of [
      ['co2', 60],
      ['voc', 15],
      ['power_w', 300],
      ['temperature', 2],
    ] as const) {
      expect(during(metric, 1, 10, 12) - during(metric, 1, 2, 4)).toBeGreaterThan(more)
      expect(during(metric, 1, 10, 12) - during(metric, 5, 10, 12)).toBeGreaterThan(more / 2)
    }
    expect(during('co2', 1, 2, 4)).toBeCloseTo(422, -1)
  })

  it('lets CO2 decay to the outdoor 420 ppm when people have left', () => {
    const sensors = planBuilding({ seed: 2, devices: 400 }).filter(({ kind }) => kind === 'co2')
    const building = createBuilding()
    const at = (hour: number) =>
      sensors.map(sensor => Number(building.readingAt(sensor, mondayMs + hour * hourMs).co2))
    const [evening, night, morning] = [at(19), at(23), at(29)]
    for (const [index, ppm] of evening.entries()) {
      expect(night[index]! - 420).toBeLessThan(Math.max(40, (ppm - 420) / 2))
      expect(Math.abs(morning[index]! - 420)).toBeLessThan(40)
    }
  })
})

describe('reproducible random numbers', () => {
  it('fills [0, 1) evenly, in a stream and by address', () => {
    for (const draw of [
      mulberry32(42),
      (
        (n = 0) =>
        () =>
          drawAt(42, n++)
      )(),
    ]) {
      const tenths = new Array(10).fill(0)
      for (let n = 0; n < 20_000; n++) tenths[Math.floor(10 * draw())]++
      for (const tenth of tenths) expect(Math.abs(tenth - 2000)).toBeLessThan(200)
    }
  })

  it('makes noise with mean 0 and standard deviation 1, within 3', () => {
    const noise = Array.from({ length: 20_000 }, (_, n) => noiseAt(9, n))
    const mean = noise.reduce((sum, value) => sum + value) / noise.length
    const variance = noise.reduce((sum, value) => sum + value ** 2, 0) / noise.length
    expect(Math.abs(mean)).toBeLessThan(0.03)
    expect(Math.abs(variance - 1)).toBeLessThan(0.05)
    expect(Math.max(...noise.map(Math.abs))).toBeLessThanOrEqual(3)
  })
})
