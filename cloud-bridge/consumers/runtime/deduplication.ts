import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import { IntervalSet } from '../../interval-set.ts'
import { keyOf } from '../state/row-keys.ts'
import type { PartitionState } from '../state/state.ts'

/**
 * How an event arrives, by its zone sequence. `in order`: the number is above every number that
 * arrived before. `late`: the number is below the highest, but above every number that arrived
 * through the same topic, as in a backlog. `out of order`: the number is below a number that
 * arrived through the same topic. `duplicate`: the number arrived before.
 */
export type Arrival = 'in order' | 'late' | 'out of order' | 'duplicate'

/** The zone sequences that arrived, of one zone in one epoch of a gateway. */
type ZoneArrivals = {
  key: string
  numbers: IntervalSet
  /** For each topic, the highest number that arrived through the topic. */
  highestByTopic: Map<string, number>
}
type Stored = { spans: [number, number][]; furthest: [string, number][] }

/** Above this number of zones and epochs the cache is emptied, when no change is uncommitted. */
const CACHED_MAX = 20_000

/** The first part of the keys under which the state stores the arrived numbers. */
const KIND = 'came'
/** The key of the row with the count of missing numbers. */
export const missingKey = keyOf('missing')

/**
 * Deduplication (promise 4 of the contract): decides which events are new, and counts missing zone
 * sequences. One small set of intervals for each zone and epoch suffices. Each set is a row of the
 * state.
 */
export class Deduplication {
  readonly #state: Pick<PartitionState, 'get'>
  readonly #zones = new Map<string, Map<number, Map<string, ZoneArrivals>>>()
  readonly #changed = new Set<ZoneArrivals>()
  #cached = 0
  #missing: number
  #storedMissing: number

  private constructor(state: Pick<PartitionState, 'get'>, missing: number) {
    this.#state = state
    this.#missing = missing
    this.#storedMissing = missing
  }

  /** Reads the count of missing numbers from a state. */
  static async read(state: Pick<PartitionState, 'get'>): Promise<Deduplication> {
    const [missing] = await state.get([missingKey])
    return new Deduplication(state, missing ? JSON.parse(missing.toString()) : 0)
  }

  /** Loads the rows that the events need. Rejects while the state is unavailable. */
  async load(events: readonly SensorReading[]): Promise<void> {
    if (this.#cached > CACHED_MAX && this.#changed.size === 0) this.#clearCache()
    const missing = new Map<string, SensorReading>()
    for (const event of events) {
      if (!this.#find(event)) missing.set(keyFor(event), event)
    }
    if (missing.size === 0) return
    const keys = [...missing.keys()]
    const values = await this.#state.get(keys)
    for (const [index, key] of keys.entries()) this.#cache(missing.get(key)!, key, values[index]!)
  }

  /** How a loaded event arrives through a topic; changes nothing. */
  arrivalOf(event: SensorReading, topic: string): Arrival {
    const { numbers, highestByTopic } = this.#find(event)!
    const number = event.zoneSequence
    if (number > (numbers.highest ?? 0)) return 'in order'
    if (numbers.covers(number, number)) return 'duplicate'
    return number < (highestByTopic.get(topic) ?? 0) ? 'out of order' : 'late'
  }

  /** Records a loaded event as seen. */
  add(event: SensorReading, topic: string): void {
    const arrivals = this.#find(event)!
    const number = event.zoneSequence
    this.#missing += missingBy(number, arrivals.numbers.highest ?? 0)
    arrivals.numbers.add(number)
    if (number > (arrivals.highestByTopic.get(topic) ?? 0)) {
      arrivals.highestByTopic.set(topic, number)
    }
    this.#changed.add(arrivals)
  }

  /** Returns the changes since the last call as rows of the state. */
  drainChanges(): Map<string, Buffer> {
    const rows = new Map<string, Buffer>()
    for (const { key, numbers, highestByTopic } of this.#changed) {
      const stored: Stored = { spans: numbers.spans, furthest: [...highestByTopic] }
      rows.set(key, Buffer.from(JSON.stringify(stored)))
    }
    this.#changed.clear()
    if (this.#missing !== this.#storedMissing) {
      rows.set(missingKey, Buffer.from(JSON.stringify(this.#missing)))
      this.#storedMissing = this.#missing
    }
    return rows
  }

  /** How many numbers below the highest of each zone and epoch have not arrived. */
  get missing(): number {
    return this.#missing
  }

  #find({ gateway, epoch, zone }: SensorReading): ZoneArrivals | undefined {
    return this.#zones.get(gateway)?.get(epoch)?.get(zone)
  }

  #cache({ gateway, epoch, zone }: SensorReading, key: string, value: Buffer | null): void {
    const { spans, furthest }: Stored = value
      ? JSON.parse(value.toString())
      : { spans: [], furthest: [] }
    const numbers = new IntervalSet()
    for (const [from, to] of spans) numbers.addRange(from, to)
    const epochs = this.#zones.get(gateway) ?? new Map<number, Map<string, ZoneArrivals>>()
    this.#zones.set(gateway, epochs)
    const zones = epochs.get(epoch) ?? new Map<string, ZoneArrivals>()
    epochs.set(epoch, zones)
    zones.set(zone, { key, numbers, highestByTopic: new Map(furthest) })
    this.#cached++
  }

  #clearCache(): void {
    this.#zones.clear()
    this.#cached = 0
  }
}

function keyFor({ gateway, epoch, zone }: SensorReading): string {
  return keyOf(KIND, gateway, String(epoch), zone)
}

/**
 * The change of the missing count when a new number arrives. In each epoch a zone's numbers begin
 * at 1.
 */
function missingBy(number: number, highest: number): number {
  if (number > highest) return number - highest - 1
  return number >= 1 ? -1 : 0
}
