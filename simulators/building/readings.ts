import { saturationAt } from './outdoors.ts'
import { roomOf } from './people.ts'
import type { Device } from './plan.ts'
import { drawAt, noiseAt } from './random.ts'
import { type Air, createZone, type Zone } from './zone.ts'

export type Measurements = Record<string, number | boolean>

export type Building = {
  /**
   * The reading of a device at a moment (ms since 1970). Depends on the device, the moment, and the
   * first moment for which a reading of its zone was requested. The air of a zone never goes back
   * in time.
   */
  readingAt(device: Device, timeMs: number): Measurements
}

function rounded(value: number, decimals: number): number {
  const scale = 10 ** decimals
  return Math.round(value * scale) / scale
}

/** The error of a sensor: constant for the device, plus new noise within 3 sigma each second. */
function sensorError(device: Device, timeMs: number, metric: number, bias: number, sigma: number) {
  const constant = bias * (2 * drawAt(device.key, metric) - 1)
  return constant + sigma * noiseAt(device.key, Math.floor(timeMs / 1000), metric)
}

function climate(device: Device, air: Air, timeMs: number): Measurements {
  const vapour = air.outdoors.vapour + 0.25 * air.people
  const humidity = (100 * vapour) / saturationAt(air.temperature)
  return {
    temperature: rounded(air.temperature + sensorError(device, timeMs, 1, 0.3, 0.04), 2),
    humidity: rounded(
      Math.min(90, Math.max(10, humidity)) + sensorError(device, timeMs, 2, 2, 0.3),
      1,
    ),
  }
}

function airQuality(device: Device, air: Air, timeMs: number): Measurements {
  const indoorCo2 = air.co2 - 420
  const pm25 = 0.5 * air.outdoors.pm25 + 0.15 * air.people
  return {
    co2: rounded(air.co2 + sensorError(device, timeMs, 1, 12, 3), 0),
    voc: rounded(70 + 0.3 * indoorCo2 + sensorError(device, timeMs, 2, 10, 4), 0),
    pm2_5: rounded(Math.max(0, pm25 + sensorError(device, timeMs, 3, 0.3, 0.2)), 1),
  }
}

function occupancy(device: Device, air: Air, timeMs: number): Measurements {
  const motion = drawAt(device.key, Math.floor(timeMs / 1000), 1) < 1 - 0.5 ** air.people
  return { people: air.people, motion }
}

function energy(device: Device, air: Air, timeMs: number): Measurements {
  const fraction = 0.4 + 0.6 * drawAt(device.key, 9)
  const noise = 1 + 0.01 * noiseAt(device.key, Math.floor(timeMs / 1000), 1)
  return {
    power_w: rounded(air.powerW * fraction * noise, 1),
    energy_kwh: rounded(air.energyKwh * fraction, 3),
  }
}

const reports = { climate, co2: airQuality, occupancy, energy }

/**
 * Creates a simulated building whose only state is the air of its zones. People arrive and leave by
 * day and week; they breathe out CO2, warm the air and use power. The building has no clock of its
 * own, so it runs at any speed.
 */
export function createBuilding(): Building {
  const zones = new Map<number, Zone>()
  return {
    readingAt(device, timeMs) {
      let zone = zones.get(device.zoneIndex)
      if (!zone) {
        zone = createZone(roomOf(device.zoneKey))
        zones.set(device.zoneIndex, zone)
      }
      return reports[device.kind](device, zone.airAt(timeMs), timeMs)
    },
  }
}
