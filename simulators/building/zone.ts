import { type Outdoors, outdoorsAt } from './outdoors.ts'
import { isClimateOn, peopleAt, type Room } from './people.ts'
import { drawAt } from './random.ts'

/** The air of a zone at one moment. Units: ppm, °C, kWh, W. */
export type Air = {
  people: number
  co2: number
  temperature: number
  powerW: number
  energyKwh: number
  outdoors: Outdoors
}

export type Zone = {
  /**
   * The air at a moment (ms since 1970). The air never goes back in time: a moment before the
   * latest step gives the air at the start of that step.
   */
  airAt(timeMs: number): Air
}

const HOUR_MS = 3_600_000
/**
 * Within a step, people, weather and settings are constant, and the air approaches their
 * equilibrium.
 */
const STEP_MS = 5 * 60_000
/**
 * The simulation of a zone starts this long before the first request, so that the influence of the
 * start values fades.
 */
const WARM_UP_MS = 12 * HOUR_MS
/** When a request is later than the last step by more than this, the zone starts once more. */
const JUMP_MAX_MS = 48 * HOUR_MS
const OUTDOOR_CO2 = 420
/** The CO2 that a person at a desk breathes out, in m³ an hour (about 0.0052 l/s). */
const BREATH_M3 = 0.0187
const CEILING_M = 2.8
const METER_START_MS = Date.UTC(2020, 0, 1)

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value))
}

/** The values that the air approaches during a step, and the rates (per hour). */
type Step = {
  people: number
  outdoors: Outdoors
  co2: number
  co2PerHour: number
  temperature: number
  temperaturePerHour: number
  powerW: number
}

function stepAt(room: Room, timeMs: number): Step {
  const isOn = isClimateOn(timeMs)
  const people = peopleAt(room, timeMs)
  const outdoors = outdoorsAt(timeMs)
  const co2PerHour = isOn ? room.airChanges : 0.35
  const breathedPpm = (1e6 * BREATH_M3 * people) / (room.areaM2 * CEILING_M)
  const unheated = outdoors.temperature + 6
  const regulated = isOn ? clamp(unheated, 21, 24.5) : clamp(unheated, 17, 28)
  const climateW = isOn ? 0.6 * room.areaM2 * Math.abs(regulated - outdoors.temperature) : 0
  const lightW = people > 0 ? 8 * room.areaM2 : 0
  return {
    people,
    outdoors,
    co2: OUTDOOR_CO2 + breathedPpm / co2PerHour,
    co2PerHour,
    temperature: regulated + 1.2 * (drawAt(room.key, 4) - 0.5) + (0.8 * people) / room.seats,
    temperaturePerHour: isOn ? 0.6 : 0.15,
    powerW: 20 + 6 * room.seats + lightW + 110 * people + climateW,
  }
}

/**
 * The air at `elapsedMs` after the start of a step: each value approaches its target exponentially.
 */
function airWithin(step: Step, start: Air, elapsedMs: number): Air {
  const hours = elapsedMs / HOUR_MS
  const approach = (from: number, to: number, perHour: number) =>
    to + (from - to) * Math.exp(-perHour * hours)
  return {
    people: step.people,
    outdoors: step.outdoors,
    co2: approach(start.co2, step.co2, step.co2PerHour),
    temperature: approach(start.temperature, step.temperature, step.temperaturePerHour),
    powerW: step.powerW,
    energyKwh: start.energyKwh + (step.powerW * hours) / 1000,
  }
}

/**
 * The meter reading (kWh) at which a simulation of the room starts. It rises with the start time
 * faster than the room's average consumption, so that a later run starts above the end of an
 * earlier run.
 */
function meterAt(room: Room, timeMs: number): number {
  const nominalW = 60 + 100 * room.seats + 10 * room.areaM2
  return (nominalW * Math.max(0, timeMs - METER_START_MS)) / HOUR_MS / 1000
}

/** Creates a zone. Its air depends only on the room and on the moment of the first request. */
export function createZone(room: Room): Zone {
  let startMs = Number.NEGATIVE_INFINITY
  let step!: Step
  let air!: Air
  const warmUp = (atMs: number) => {
    startMs = (Math.floor(atMs / STEP_MS) - WARM_UP_MS / STEP_MS) * STEP_MS
    step = stepAt(room, startMs)
    air = airWithin(step, { ...step, energyKwh: meterAt(room, startMs) }, 0)
  }
  return {
    airAt(timeMs) {
      if (timeMs - startMs > JUMP_MAX_MS) warmUp(timeMs)
      while (timeMs - startMs >= STEP_MS) {
        air = airWithin(step, air, STEP_MS)
        startMs += STEP_MS
        step = stepAt(room, startMs)
      }
      return airWithin(step, air, Math.max(0, timeMs - startMs))
    },
  }
}
