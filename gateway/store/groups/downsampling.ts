import type { SensorReading } from '../../../config/event/sensor-reading.ts'

/** What of an event tells whether it is kept. */
export type SelectableEvent = Pick<
  SensorReading,
  'sequence' | 'site' | 'zone' | 'device' | 'measurements'
>

/** Where the values of one metric of a device reach, and in which events; NaN: no number yet. */
type Reach = {
  first: number
  last: number
  lowest: number
  lowestAt: number
  highest: number
  highestAt: number
}

export type Selection = ReturnType<typeof createSelection>

/**
 * Selects from events in the order of their numbers what is kept when they are thinned: of each
 * metric of each device the first, the lowest, the highest and the last, of equal ones the first;
 * of a device's events without measurements the first and the last.
 */
export function createSelection() {
  const devices = new Map<string, Map<string | null, Reach>>()
  let [events, metrics] = [0, 0]
  const reachOf = (reaches: Map<string | null, Reach>, metric: string | null, at: number) => {
    let reach = reaches.get(metric)
    if (!reach) {
      const none = { lowest: Number.NaN, lowestAt: at, highest: Number.NaN, highestAt: at }
      reach = { first: at, last: at, ...none }
      reaches.set(metric, reach)
      metrics++
    }
    return reach
  }
  return {
    /** How many events were looked at. */
    get events() {
      return events
    },
    /** How many metrics of devices they have: what this remembers grows with these. */
    get metrics() {
      return metrics
    },
    add({ sequence, measurements, ...place }: SelectableEvent): void {
      events++
      const key = deviceKey(place)
      const reaches = devices.get(key) ?? new Map<string | null, Reach>()
      devices.set(key, reaches)
      if (measurements.length === 0) reachOf(reaches, null, sequence).last = sequence
      for (const { metric, number } of measurements) {
        const reach = reachOf(reaches, metric, sequence)
        reach.last = sequence
        if (number === null) continue
        if (!(reach.lowest <= number)) Object.assign(reach, { lowest: number, lowestAt: sequence })
        if (!(reach.highest >= number)) {
          Object.assign(reach, { highest: number, highestAt: sequence })
        }
      }
    },
    /** The numbers of the events that are kept. */
    kept(): Set<number> {
      const kept = new Set<number>()
      for (const reaches of devices.values()) {
        for (const { first, lowestAt, highestAt, last } of reaches.values()) {
          kept.add(first).add(lowestAt).add(highestAt).add(last)
        }
      }
      return kept
    },
  }
}

/** Site, zone, device, metric, how many of its values went, and the mean of those. */
export type Mean = [site: string, zone: string, device: string, metric: string, number, number]

/** Counts the numbers that went of each metric of each device, and takes their mean. */
export function createMeans() {
  const all = new Map<string, Mean>()
  return {
    add({ measurements, ...place }: Omit<SelectableEvent, 'sequence'>): void {
      const { site, zone, device } = place
      for (const { metric, number } of measurements) {
        if (number === null) continue
        const key = `${deviceKey(place)}\u0000${metric}`
        const mean = all.get(key) ?? [site, zone, device, metric, 0, 0]
        all.set(key, mean)
        mean[4]++
        mean[5] += (number - mean[5]) / mean[4]
      }
    },
    /** As many as fit in so many characters of JSON, and of how many metrics nothing is said. */
    toNoteFields(maxLength: number): { means: Mean[]; meansLeftOut?: number } {
      const means: Mean[] = []
      let length = 0
      for (const mean of all.values()) {
        length += JSON.stringify(mean).length + 1
        if (length > maxLength) break
        means.push(mean)
      }
      const meansLeftOut = all.size - means.length
      return { means, ...(meansLeftOut > 0 && { meansLeftOut }) }
    },
  }
}

/** Places hold no control characters. */
const deviceKey = ({ site, zone, device }: Pick<SelectableEvent, 'site' | 'zone' | 'device'>) =>
  `${site}\u0000${zone}\u0000${device}`
