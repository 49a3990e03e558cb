import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import { IntervalSet } from '../../interval-set.ts'
import { keyOf } from '../state/row-keys.ts'
import type { PartitionState } from '../state/state.ts'

/**
 * How an event comes, by its zone sequence: above all before it; below them, by a topic that has
 * not passed it, as a backlog does; below what the same topic brought; or once more.
 */
export type Arrival = 'in order' | 'late' | 'out of order' | 'duplicate'

/** What has come of one zone in one epoch of a gateway. */
type Came = {
  key: string
  numbers: IntervalSet
  /** The highest number that each topic brought. */
  furthest: Map<string, number>
}
type Stored = { spans: [number, number][]; furthest: [string, number][] }

/** So many zones and epochs are kept in memory; the others are read again when they come. */
const KEPT_MAX = 20_000

const KIND = 'came'
const MISSING_KEY = keyOf('missing')

/**
 * The consumers' check (the contract's promise 4): which events are new, and what is missing, by
 * one small set of intervals for each zone and epoch, which is part of the state.
 */
export class Deduplication {
  readonly #state: Pick<PartitionState, 'get'>
  readonly #zones = new Map<string, Map<number, Map<string, Came>>>()
  readonly #changed = new Set<Came>()
  #kept = 0
  #missing: number
  #storedMissing: number

  private constructor(state: Pick<PartitionState, 'get'>, missing: number) {
    this.#state = state
    this.#missing = missing
    this.#storedMissing = missing
  }

  /** As a state has them. */
  static async read(state: Pick<PartitionState, 'get'>): Promise<Deduplication> {
    const [missing] = await state.get([MISSING_KEY])
    return new Deduplication(state, missing ? JSON.parse(missing.toString()) : 0)
  }

  /** Reads what is needed to tell how these events come. Rejects while the state is away. */
  async load(events: readonly SensorReading[]): Promise<void> {
    if (this.#kept > KEPT_MAX && this.#changed.size === 0) this.#forget()
    const missing = new Map<string, SensorReading>()
    for (const event of events) {
      if (!this.#find(event)) missing.set(keyFor(event), event)
    }
    if (missing.size === 0) return
    const keys = [...missing.keys()]
    const values = await this.#state.get(keys)
    for (const [at, key] of keys.entries()) this.#keep(missing.get(key)!, key, values[at]!)
  }

  /** How an event comes by a topic; nothing is changed. It must have been loaded. */
  arrivalOf(event: SensorReading, topic: string): Arrival {
    const { numbers, furthest } = this.#find(event)!
    const number = event.zoneSequence
    if (number > (numbers.highest ?? 0)) return 'in order'
    if (numbers.covers(number, number)) return 'duplicate'
    return number < (furthest.get(topic) ?? 0) ? 'out of order' : 'late'
  }

  /** Counts an event as come. */
  add(event: SensorReading, topic: string): void {
    const came = this.#find(event)!
    const number = event.zoneSequence
    this.#missing += missingBy(number, came.numbers.highest ?? 0)
    came.numbers.add(number)
    if (number > (came.furthest.get(topic) ?? 0)) came.furthest.set(topic, number)
    this.#changed.add(came)
  }

  /** What changed since the last call, as rows of the state. */
  takeChanges(): Map<string, Buffer> {
    const rows = new Map<string, Buffer>()
    for (const { key, numbers, furthest } of this.#changed) {
      const stored: Stored = { spans: numbers.spans, furthest: [...furthest] }
      rows.set(key, Buffer.from(JSON.stringify(stored)))
    }
    this.#changed.clear()
    if (this.#missing !== this.#storedMissing) {
      rows.set(MISSING_KEY, Buffer.from(JSON.stringify(this.#missing)))
      this.#storedMissing = this.#missing
    }
    return rows
  }

  /** How many numbers below the last of each zone and epoch have not come. */
  get missing(): number {
    return this.#missing
  }

  #find({ gateway, epoch, zone }: SensorReading): Came | undefined {
    return this.#zones.get(gateway)?.get(epoch)?.get(zone)
  }

  #keep({ gateway, epoch, zone }: SensorReading, key: string, value: Buffer | null): void {
    const { spans, furthest }: Stored = value
      ? JSON.parse(value.toString())
      : { spans: [], furthest: [] }
    const numbers = new IntervalSet()
    for (const [from, to] of spans) numbers.addRange(from, to)
    const epochs = this.#zones.get(gateway) ?? new Map<number, Map<string, Came>>()
    this.#zones.set(gateway, epochs)
    const zones = epochs.get(epoch) ?? new Map<string, Came>()
    epochs.set(epoch, zones)
    zones.set(zone, { key, numbers, furthest: new Map(furthest) })
    this.#kept++
  }

  #forget(): void {
    this.#zones.clear()
    this.#kept = 0
  }
}

function keyFor({ gateway, epoch, zone }: SensorReading): string {
  return keyOf(KIND, gateway, String(epoch), zone)
}

/** How many more are missing when a new number comes. Each epoch begins at 1. */
function missingBy(number: number, highest: number): number {
  if (number > highest) return number - highest - 1
  return number >= 1 ? -1 : 0
}
