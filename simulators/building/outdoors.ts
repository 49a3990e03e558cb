import { noiseAt } from './random.ts'

/** The weather, the same at every site: °C, hPa of water vapour, µg/m³ of PM2.5. */
export type Outdoors = {
  temperature: number
  vapour: number
  pm25: number
}

const DAY_MS = 86_400_000
const YEAR_MS = 365.25 * DAY_MS
const WEATHER_KEY = 0x57ea

/** Pressure of saturated water vapour over water, hPa: the Magnus formula (WMO, 2008). */
export function saturationAt(temperature: number): number {
  return 6.112 * Math.exp((17.62 * temperature) / (243.12 + temperature))
}

/** Short-term weather: noise every six hours, interpolated linearly. */
function shortTermNoise(timeMs: number, kind: number): number {
  const quarterDays = timeMs / (DAY_MS / 4)
  const before = Math.floor(quarterDays)
  const weight = quarterDays - before
  return (
    noiseAt(WEATHER_KEY, before, kind) * (1 - weight) +
    noiseAt(WEATHER_KEY, before + 1, kind) * weight
  )
}

/** A cosine wave of one period (a day, a year), highest at the fraction `peak` of the period. */
function wave(timeMs: number, periodMs: number, peak: number): number {
  return Math.cos(2 * Math.PI * (timeMs / periodMs - peak))
}

/**
 * Weather of a temperate town: warmest in late July and at 15:00, dirtiest when people drive.
 * All clocks of the simulated building are UTC.
 */
export function outdoorsAt(timeMs: number): Outdoors {
  const season = wave(timeMs, YEAR_MS, 0.56)
  const day = wave(timeMs, DAY_MS, 15 / 24)
  const temperature = 10 + 9 * season + 4.5 * day + 1.5 * shortTermNoise(timeMs, 1)
  const humidity = 0.72 - 0.12 * day + 0.04 * shortTermNoise(timeMs, 2)
  const rush = Math.max(0, wave(timeMs, DAY_MS / 2, 8 / 12))
  return {
    temperature,
    vapour: humidity * saturationAt(temperature),
    pm25: Math.max(1, 7 + 4 * rush + 1.8 * shortTermNoise(timeMs, 3)),
  }
}
