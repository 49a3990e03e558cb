import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import type { Mean } from '../notes/note-kinds.ts'

/** The fields of an event that decide whether thinning keeps the event. */
export type SelectableEvent = Pick<
  SensorReading,
  'sequence' | 'site' | 'zone' | 'device' | 'measurements'
>

/**
 * The first, last, lowest and highest value of one metric of one device, and the sequences of the
 * events with these values. NaN means that no number was added yet.
 */
type Extremes = {
  first: number
  last: number
  lowest: number
  lowestAt: number
  highest: number
  highestAt: number
}

export type Selection = ReturnType<typeof createSelection>

/**
 * Selects the events that thinning keeps; events are added in the order of their sequences. For
 * each metric of each device, the events with the first, the lowest, the highest and the last value
 * are kept; when several events have the lowest or highest value, the first of these events. Of a
 * device's events without measurements, the first and the last event are kept.
 */
export function createSelection() {
  const devices = new Map<string, Map<string | null, Extremes>>()
  let [events, metrics] = [0, 0]
  const extremesOf = (
    metricsOf: Map<string | null, Extremes>,
    metric: string | null,
    at: number,
  ) => {
    let extremes = metricsOf.get(metric)
    if (!extremes) {
      const none = { lowest: Number.NaN, lowestAt: at, highest: Number.NaN, highestAt: at }
      extremes = { first: at, last: at, ...none }
      metricsOf.set(metric, extremes)
      metrics++
    }
    return extremes
  }
  return {
    /** The number of added events. */
    get events() {
      return events
    },
    /** The number of metrics of all devices; the memory of a selection grows with this number. */
    get metrics() {
      return metrics
    },
    add({ sequence, measurements, ...origin }: SelectableEvent): void {
      events++
      const key = deviceKey(origin)
      const metricsOf = devices.get(key) ?? new Map<string | null, Extremes>()
      devices.set(key, metricsOf)
      if (measurements.length === 0) extremesOf(metricsOf, null, sequence).last = sequence
      for (const { metric, number } of measurements) {
        const extremes = extremesOf(metricsOf, metric, sequence)
        extremes.last = sequence
        if (number === null) continue
        if (!(extremes.lowest <= number)) {
          Object.assign(extremes, { lowest: number, lowestAt: sequence })
        }
        if (!(extremes.highest >= number)) {
          Object.assign(extremes, { highest: number, highestAt: sequence })
        }
      }
    },
    /** The sequences of the kept events. */
    kept(): Set<number> {
      const kept = new Set<number>()
      for (const metricsOf of devices.values()) {
        for (const { first, lowestAt, highestAt, last } of metricsOf.values()) {
          kept.add(first).add(lowestAt).add(highestAt).add(last)
        }
      }
      return kept
    },
  }
}

/** Counts the removed values of each metric of each device, and computes their mean. */
export function createMeans() {
  const means = new Map<string, Mean>()
  return {
    add({ measurements, ...origin }: Omit<SelectableEvent, 'sequence'>): void {
      const { site, zone, device } = origin
      for (const { metric, number } of measurements) {
        if (number === null) continue
        const key = `${deviceKey(origin)}\u0000${metric}`
        const mean = means.get(key) ?? [site, zone, device, metric, 0, 0]
        means.set(key, mean)
        mean[4]++
        mean[5] += (number - mean[5]) / mean[4]
      }
    },
    /**
     * Returns the means for a note: as many means as fit in `maxLength` characters of JSON, and the
     * number of means that do not fit.
     */
    toNoteFields(maxLength: number): { means: Mean[]; meansLeftOut?: number } {
      const fitting: Mean[] = []
      let length = 0
      for (const mean of means.values()) {
        length += JSON.stringify(mean).length + 1
        if (length > maxLength) break
        fitting.push(mean)
      }
      const meansLeftOut = means.size - fitting.length
      return { means: fitting, ...(meansLeftOut > 0 && { meansLeftOut }) }
    },
  }
}

/**
 * The key of a device. The separator is a control character, because names of sites, zones and
 * devices contain none.
 */
const deviceKey = ({ site, zone, device }: Pick<SelectableEvent, 'site' | 'zone' | 'device'>) =>
  `${site}\u0000${zone}\u0000${device}`
