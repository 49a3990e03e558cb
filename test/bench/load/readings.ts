import { mulberry32 } from '../../../simulators/building/random.ts'

/** The values of one device as integers: hundredths for temperature and humidity. */
export type Values = {
  temperature: number
  humidity: number
  co2: number
  occupancy: number
  battery: number
}

export const ZONES = 24

/** The site, zone, name and topic of a device, by its number. */
export function locationOf(device: number) {
  const zone = `z${device % ZONES}`
  const name = `s${device}`
  return { site: 'hq', zone, device: name, topic: `building/hq/zone/${zone}/sensor/${name}` }
}

/**
 * Creates a source of values that wander like those of a room, reproducible per device. Each value
 * keeps its number of digits. The source returns the same object at every call.
 */
export function createValues(device: number): () => Values {
  const random = mulberry32(device)
  const values = { temperature: 2150, humidity: 4200, co2: 620, occupancy: 3, battery: 97 }
  const wander = (name: keyof Values, step: number, min: number, max: number) => {
    const next = values[name] + Math.round((random() * 2 - 1) * step)
    values[name] = Math.min(max, Math.max(min, next))
  }
  let count = 0
  return () => {
    wander('temperature', 8, 1700, 2900)
    wander('humidity', 15, 2000, 7000)
    wander('co2', 12, 400, 999)
    if (++count % 16 === 0) wander('occupancy', 1, 0, 9)
    if (count % 4096 === 0) wander('battery', 1, 10, 99)
    return values
  }
}
