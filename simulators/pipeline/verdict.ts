import { IntervalSet } from '../../cloud-bridge/interval-set.ts'
import type { ReadRecord } from '../../cloud-bridge/ports/event-stream.ts'
import { decodeEvent, type SensorReading } from '../../config/event/sensor-reading.ts'
import type { PublishRecord } from '../devices/record.ts'

/**
 * The result of a run, which is printed as JSON. `verdict` is `complete`, or `incomplete: ` and a
 * list of faults.
 */
export type Verdict = {
  scheduled: number
  acknowledged: number
  stored: number
  /** Messages of this run that the gateway stored as dead letters. */
  buried: number
  /** Messages of this run in Kafka, without the duplicates that consumers drop. */
  delivered: number
  /** Acknowledged messages that are not in Kafka. */
  missing: number
  /** Messages that a consumer counts twice. */
  duplicates: number
  /** Records in Kafka that consumers drop as duplicates. */
  rawDuplicates: number
  /** Messages that a device sent more than once. */
  resent: number
  /** Events that are out of order within their zone or device. */
  inversions: number
  /** Delivered events that analytics has counted; absent when analytics does not run. */
  aggregated?: number
  verdict: string
}

/** The counts of a run that are not computed from the records in Kafka. */
export type RunCounts = {
  scheduled: number
  stored: number
  deadLetters: number
  /** The least share of the scheduled messages that must be acknowledged; 0.9 by default. */
  minShare?: number
}

/** Checks whether each number is higher than every earlier number under the same name. */
function createOrderCheck() {
  const highest = new Map<string, number>()
  return (name: string, number: number): boolean => {
    const before = highest.get(name) ?? Number.NEGATIVE_INFINITY
    highest.set(name, Math.max(number, before))
    return number > before
  }
}

/**
 * Judges a run: compares the devices' own record of acknowledgements with the records in Kafka.
 * A run is complete when nothing acknowledged is missing, nothing counts twice after the
 * consumers' check for duplicates, each zone and each device is in order within each topic, and
 * each zone is in one partition under its key.
 */
export function createJudge(record: PublishRecord, runId: string, qos: 0 | 1 | 2 = 1) {
  const zones = new Map<string, { seen: IntervalSet; epoch: number }>()
  const partitionOfZone = new Map<string, number>()
  const [isZoneInOrder, isDeviceInOrder] = [createOrderCheck(), createOrderCheck()]
  const timesSeen = new Uint8Array(record.length)
  const found = { delivered: 0, rawDuplicates: 0, inversions: 0, misplaced: 0, strange: 0 }

  const checkPartition = (event: SensorReading, { partition, key }: ReadRecord) => {
    const known = partitionOfZone.get(event.zone) ?? partition
    partitionOfZone.set(event.zone, known)
    if (known !== partition || key?.toString() !== event.zone) found.misplaced++
  }
  /** The consumers' check for duplicates: returns true when the event is not a duplicate. */
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
    /** Adds a record of the readings topic or of the backfill topic. */
    add(readRecord: ReadRecord, topic: string): void {
      const event = decodeEvent(readRecord.value)
      checkPartition(event, readRecord)
      if (!isNew(event, topic)) return
      const { text } = event.measurements.find(({ metric }) => metric === 'simulated_run') ?? {}
      if (text !== runId) return
      const number = event.measurements.find(({ metric }) => metric === 'simulated_number')?.number
      if (typeof number === 'number') count(number, topic)
    },
    conclude({ scheduled, stored, deadLetters, minShare = 0.9 }: RunCounts): Verdict {
      const { acknowledged, resent } = record.total
      let [missing, duplicates] = [0, 0]
      for (let number = 0; number < record.length; number++) {
        const message = record.messageAt(number)
        if (message?.acknowledged && timesSeen[number] === 0) missing++
        // With QoS 1 a resent message may become a second event; QoS 2 delivers each message
        // exactly once.
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
      const stages = { scheduled, acknowledged, stored, buried: deadLetters, delivered }
      const verdict = faults.length === 0 ? 'complete' : `incomplete: ${faults.join('; ')}`
      return { ...stages, missing, duplicates, rawDuplicates, resent, inversions, verdict }
    },
  }
}
