import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { IntervalSet } from '../../../interval-set.ts'

/** Zone sequences from `from` to `to`, both included, of a zone in an epoch of a gateway. */
export type EventInterval = [gateway: string, epoch: number, zone: string, from: number, to: number]

type EventNumber = Pick<SensorReading, 'gateway' | 'epoch' | 'zone' | 'zoneSequence'>

/** A set of events, stored as intervals of zone sequences for each gateway, epoch and zone. */
export class EventSet {
  readonly #gateways = new Map<string, Map<number, Map<string, IntervalSet>>>()

  has(event: EventNumber): boolean {
    const number = event.zoneSequence
    return this.#find(event)?.covers(number, number) ?? false
  }

  /** Adds an event; returns false when the set contained the event already. */
  add(event: EventNumber): boolean {
    const { gateway, epoch, zone, zoneSequence } = event
    return (this.#find(event) ?? this.#findOrCreate(gateway, epoch, zone)).add(zoneSequence)
  }

  /** Adds an interval; returns false when the set contained any of its events already. */
  addAll([gateway, epoch, zone, from, to]: EventInterval): boolean {
    const numbers = this.#findOrCreate(gateway, epoch, zone)
    const [gap] = numbers.gaps(from, to)
    const isNew = gap?.from === from && gap.to === to
    numbers.addRange(from, to)
    return isNew
  }

  /** All intervals, in the order in which their gateways, epochs and zones were added. */
  get intervals(): EventInterval[] {
    const intervals: EventInterval[] = []
    for (const [gateway, epochs] of this.#gateways) {
      for (const [epoch, zones] of epochs) {
        for (const [zone, { spans }] of zones) {
          for (const [from, to] of spans) intervals.push([gateway, epoch, zone, from, to])
        }
      }
    }
    return intervals
  }

  #find({ gateway, epoch, zone }: EventNumber): IntervalSet | undefined {
    return this.#gateways.get(gateway)?.get(epoch)?.get(zone)
  }

  #findOrCreate(gateway: string, epoch: number, zone: string): IntervalSet {
    const epochs = this.#gateways.get(gateway) ?? new Map<number, Map<string, IntervalSet>>()
    this.#gateways.set(gateway, epochs)
    const zones = epochs.get(epoch) ?? new Map<string, IntervalSet>()
    epochs.set(epoch, zones)
    const numbers = zones.get(zone) ?? new IntervalSet()
    zones.set(zone, numbers)
    return numbers
  }
}

/** The number of events in intervals. */
export const countEvents = (intervals: readonly EventInterval[]): number =>
  intervals.reduce((sum, [, , , from, to]) => sum + to - from + 1, 0)
