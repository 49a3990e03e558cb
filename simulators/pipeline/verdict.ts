import { IntervalSet } from '../../cloud-bridge/interval-set.ts'
import type { ReadRecord } from '../../cloud-bridge/ports/event-stream.ts'
import { decodeEvent, type SensorReading } from '../../config/event/sensor-reading.ts'
import type { PublishRecord } from '../devices/record.ts'

/** What a run came to; `verdict` is `complete`, or says what is not. */
export type Verdict = {
  scheduled: number
  acknowledged: number
  stored: number
  buried: number
  delivered: number
  missing: number
  duplicates: number
  rawDuplicates: number
  resent: number
  inversions: number
  /** How many of them analytics counts, where it runs. */
  aggregated?: number
  verdict: string
}

/** What was counted by others than the reader of Kafka. */
export type RunCounts = {
  scheduled: number
  stored: number
  buried: number
  /** The least share of what was scheduled that must have been acknowledged. */
  minShare?: number
}

/** Tells of each number whether it is above all before it under its name. */
function startOrder() {
  const furthest = new Map<string, number>()
  return (name: string, number: number): boolean => {
    const before = furthest.get(name) ?? Number.NEGATIVE_INFINITY
    furthest.set(name, Math.max(number, before))
    return number > before
  }
}

/**
 * Judges a run by the devices' own record of what they saw acknowledged, against what a fresh
 * reader finds in Kafka: nothing missing, nothing counted twice after the consumers' check, in each
 * topic the order of each zone and of each device kept, each zone in one partition under its key.
 */
export function createJudge(record: PublishRecord, runId: string, qos: 0 | 1 | 2 = 1) {
  const zones = new Map<string, { seen: IntervalSet; epoch: number }>()
  const partitionOfZone = new Map<string, number>()
  const [isZoneInOrder, isDeviceInOrder] = [startOrder(), startOrder()]
  const timesSeen = new Uint8Array(record.length)
  const found = { delivered: 0, rawDuplicates: 0, inversions: 0, misplaced: 0, strange: 0 }

  const check = (event: SensorReading, { partition, key }: ReadRecord) => {
    const known = partitionOfZone.get(event.zone) ?? partition
    partitionOfZone.set(event.zone, known)
    if (known !== partition || key?.toString() !== event.zone) found.misplaced++
  }
  /** The consumers' check; true when the event is new. */
  const isNew = ({ gateway, epoch, zone, zoneSequence }: SensorReading, topic: string) => {
    const name = `${gateway} ${epoch} ${zone}`
    let state = zones.get(name)
    if (!state) {
      state = { seen: new IntervalSet(), epoch }
      zones.set(name, state)
    }
    if (!state.seen.add(zoneSequence)) {
      found.rawDuplicates++
      return false
    }
    if (!isZoneInOrder(`${topic} ${name}`, zoneSequence)) found.inversions++
    return true
  }
  const count = (number: number, topic: string) => {
    const message = record.messageAt(number)
    if (!message) {
      found.strange++
      return
    }
    found.delivered++
    timesSeen[number] = Math.min(255, timesSeen[number]! + 1)
    if (message.resent) return
    if (!isDeviceInOrder(`${topic} ${message.deviceIndex}`, number)) found.inversions++
  }

  return {
    /** A record of the readings, or of what goes behind them. */
    add(at: ReadRecord, topic: string): void {
      const event = decodeEvent(at.value)
      check(event, at)
      if (!isNew(event, topic)) return
      const { text } = event.measurements.find(({ metric }) => metric === 'simulated_run') ?? {}
      if (text !== runId) return
      const number = event.measurements.find(({ metric }) => metric === 'simulated_number')?.number
      if (typeof number === 'number') count(number, topic)
    },
    conclude({ scheduled, stored, buried, minShare = 0.9 }: RunCounts): Verdict {
      const { acknowledged, resent } = record.total
      let [missing, duplicates] = [0, 0]
      for (let number = 0; number < record.length; number++) {
        const message = record.messageAt(number)
        if (message?.acknowledged && timesSeen[number] === 0) missing++
        // What a device sends again is a second event, but not with QoS 2: that is once.
        const mayRepeat = message?.resent && qos < 2
        if (message && !mayRepeat && timesSeen[number]! > 1) duplicates++
      }
      const holes = [...zones.values()].reduce((sum, { seen }) => sum + seen.innerGaps.length, 0)
      const faults = [
        acknowledged === 0 && 'nothing was acknowledged',
        acknowledged < scheduled * minShare && `only ${acknowledged} of ${scheduled} acknowledged`,
        missing > 0 && `${missing} acknowledged and missing`,
        duplicates > 0 && `${duplicates} counted twice`,
        found.inversions > 0 && `${found.inversions} out of order`,
        holes > 0 && `${holes} holes in the zone sequences`,
        found.misplaced > 0 && `${found.misplaced} in a wrong partition or under a wrong key`,
        found.strange > 0 && `${found.strange} that no device sent`,
      ].filter(fault => fault !== false)
      const { delivered, rawDuplicates, inversions } = found
      const counts = { scheduled, acknowledged, stored, buried, delivered, missing, duplicates }
      const verdict = faults.length === 0 ? 'complete' : `incomplete: ${faults.join('; ')}`
      return { ...counts, rawDuplicates, resent, inversions, verdict }
    },
  }
}
