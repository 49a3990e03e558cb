import { decodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import { type Percentiles, percentilesOf } from '../measure/percentiles.ts'
import { FIRST_NUMBER } from './packets.ts'

/** A record and the time at which the reader could read the record, in µs (sharedClockUs). */
export type Arrival = { value: Buffer; atUs: number }

export type Judgement = {
  /** Messages with at least one record. */
  delivered: number
  /** Acknowledged messages without a record. */
  lost: number
  /** Records beyond the first of a message. */
  rawDuplicates: number
  /**
   * Messages whose first record comes after the first record of a later message of the same device
   * or zone.
   */
  inversions: number
  /** The latency from the publish time of a message to the arrival of its first record. */
  latencyMs: Percentiles | null
  /** The latest arrival time of a message's first record. */
  lastAtUs: number
}

/**
 * Compares the arrivals with the generator's acknowledgements. `acknowledgedByDevice` is the number
 * of acknowledged messages of each device; they are the first messages of the device. Message n is
 * from device n modulo the number of devices.
 */
export function judgeArrivals(arrivals: Arrival[], acknowledgedByDevice: number[]): Judgement {
  const devices = acknowledgedByDevice.length
  const found = new Set<number>()
  const lastOfDevice = new Map<number, number>()
  const lastOfZone = new Map<string, number>()
  const latenciesMs: number[] = []
  let [inversions, lastAtUs] = [0, 0]
  for (const { value, atUs } of arrivals) {
    const event = decodeEvent(value)
    const number = numberOf(event, 'bench_id') - FIRST_NUMBER
    if (found.has(number)) continue
    found.add(number)
    const device = number % devices
    const zone = `${event.epoch} ${event.zone}`
    const isOutOfOrder =
      number < (lastOfDevice.get(device) ?? -1) || event.zoneSequence < (lastOfZone.get(zone) ?? 0)
    if (isOutOfOrder) inversions++
    lastOfDevice.set(device, Math.max(number, lastOfDevice.get(device) ?? -1))
    lastOfZone.set(zone, Math.max(event.zoneSequence, lastOfZone.get(zone) ?? 0))
    latenciesMs.push((atUs - numberOf(event, 'bench_ts')) / 1000)
    lastAtUs = Math.max(lastAtUs, atUs)
  }
  let lost = 0
  for (const [device, count] of acknowledgedByDevice.entries()) {
    for (let n = 0; n < count; n++) if (!found.has(device + n * devices)) lost++
  }
  const latencyMs = percentilesOf(Float64Array.from(latenciesMs))
  const rawDuplicates = arrivals.length - found.size
  return { delivered: found.size, lost, rawDuplicates, inversions, latencyMs, lastAtUs }
}

function numberOf({ measurements }: SensorReading, metric: string): number {
  return measurements.find(one => one.metric === metric)?.number ?? Number.NaN
}
