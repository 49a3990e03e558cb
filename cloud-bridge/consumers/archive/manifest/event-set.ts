import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { IntervalSet } from '../../../interval-set.ts'

/** Zone sequences from `from` to `to`, both included. */
export type EventInterval = [gateway: string, epoch: number, zone: string, from: number, to: number]

type Numbered = Pick<SensorReading, 'gateway' | 'epoch' | 'zone' | 'zoneSequence'>

/** Which events there are, as intervals of their zone sequences for each zone and epoch. */
export class EventSet {
  readonly #gateways = new Map<string, Map<number, Map<string, IntervalSet>>>()

  has(event: Numbered): boolean {
    const number = event.zoneSequence
    return this.#find(event)?.covers(number, number) ?? false
  }

  /** Counts an event; false when it was there already. */
  add(event: Numbered): boolean {
    const { gateway, epoch, zone, zoneSequence } = event
    return (this.#find(event) ?? this.#of(gateway, epoch, zone)).add(zoneSequence)
  }

  /** Counts all of an interval; false when one of its numbers was there already. */
  addAll([gateway, epoch, zone, from, to]: EventInterval): boolean {
    const numbers = this.#of(gateway, epoch, zone)
    const [gap] = numbers.gaps(from, to)
    const isNew = gap?.from === from && gap.to === to
    numbers.addRange(from, to)
    return isNew
  }

  /** All intervals, in the order in which their zones came first. */
  get intervals(): EventInterval[] {
    const all: EventInterval[] = []
    for (const [gateway, epochs] of this.#gateways) {
      for (const [epoch, zones] of epochs) {
        for (const [zone, { spans }] of zones) {
          for (const [from, to] of spans) all.push([gateway, epoch, zone, from, to])
        }
      }
    }
    return all
  }

  #find({ gateway, epoch, zone }: Numbered): IntervalSet | undefined {
    return this.#gateways.get(gateway)?.get(epoch)?.get(zone)
  }

  #of(gateway: string, epoch: number, zone: string): IntervalSet {
    const epochs = this.#gateways.get(gateway) ?? new Map<number, Map<string, IntervalSet>>()
    this.#gateways.set(gateway, epochs)
    const zones = epochs.get(epoch) ?? new Map<string, IntervalSet>()
    epochs.set(epoch, zones)
    const numbers = zones.get(zone) ?? new IntervalSet()
    zones.set(zone, numbers)
    return numbers
  }
}

/** How many events intervals hold. */
export const countEvents = (came: readonly EventInterval[]): number =>
  came.reduce((sum, [, , , from, to]) => sum + to - from + 1, 0)
