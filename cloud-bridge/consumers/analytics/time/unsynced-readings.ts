import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { keyAfter, keyOf, keysWithPrefix, timeKeyPart } from '../../state/row-keys.ts'
import type { PartitionState } from '../../state/state.ts'
import { eventTimeOf } from './event-time.ts'

/** How far clocks were off, as gateways say later, for the events of which they were not sure. */
export type ClockOffsetSource = {
  /** What to add to `receivedAt`; null while the gateway has not said. */
  offsetOf(event: Pick<SensorReading, 'gateway' | 'epoch' | 'sequence'>): number | null
}

type Held = { event: SensorReading; heardAt: number }

/** An event that comes to Kafka so soon after its time has a time that is right. */
const BORNE_OUT_MS = 5000
/** So many are looked at for one batch, and after the last one there is a pause. */
const LOOKED_AT_MAX = 5000
const LOOK_EVERY_MS = 5000

/**
 * Readings whose time nobody knows yet: they wait, durably, until their gateway's clock note tells
 * it or they have waited long enough.
 */
export class UnsyncedReadings {
  readonly #state: Pick<PartitionState, 'range'>
  readonly #corrections: ClockOffsetSource
  readonly #waitMs: number
  readonly #changed = new Map<string, Buffer | null>()
  /** From which sequence on the time of a run of a gateway was seen to be right. */
  readonly #rightFrom = new Map<string, number>()
  #mayHave = true
  /** The key where the next look goes on; null: at the first one. */
  #next: string | null = null
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(
    state: Pick<PartitionState, 'range'>,
    corrections: ClockOffsetSource,
    waitMs: number,
  ) {
    this.#state = state
    this.#corrections = corrections
    this.#waitMs = waitMs
  }

  /**
   * What to add to an event's time; null when nobody knows yet. A gateway that is not sure, and
   * whose time Kafka's own bears out, is right, and will be for all that it receives in that run:
   * not for what it received before, because its clock may have been set right just then.
   */
  offsetOf(event: SensorReading, heardAt: number): number | null {
    if (event.clock !== 'UNSYNCED') return 0
    const told = this.#corrections.offsetOf(event)
    if (told !== null) return told
    const run = `${event.epoch} ${event.gateway}`
    const rightFrom = this.#rightFrom.get(run) ?? Number.POSITIVE_INFINITY
    if (event.sequence >= rightFrom) return 0
    if (Math.abs(heardAt - event.receivedAt) > BORNE_OUT_MS) return null
    this.#rightFrom.set(run, event.sequence)
    return 0
  }

  /** When an event was; an Error where that is impossible, null while nobody knows. */
  timeOf(event: SensorReading, heardAt: number): number | Error | null {
    const offsetMs = this.offsetOf(event, heardAt)
    if (offsetMs === null) return null
    try {
      return eventTimeOf(event, offsetMs, heardAt)
    } catch (error) {
      return error as Error
    }
  }

  hold(event: SensorReading, heardAt: number): void {
    this.#changed.set(keyFor(event), Buffer.from(JSON.stringify({ event, heardAt } satisfies Held)))
    this.#mayHave = true
  }

  /** Those whose time is known by now, or that waited long enough: they count from now on. */
  async due(nowMs: number): Promise<{ event: SensorReading; time: number }[]> {
    if (!this.#mayHave || performance.now() - this.#lookedMs < LOOK_EVERY_MS) return []
    const all = keysWithPrefix(KIND)
    const from = this.#next ?? all.from
    const rows = await this.#state.range({ ...all, from, limit: LOOKED_AT_MAX })
    if (rows.length < LOOKED_AT_MAX) {
      this.#mayHave = this.#next !== null || rows.length > 0
      this.#lookedMs = performance.now()
      this.#next = null
    } else this.#next = keyAfter(rows.at(-1)!.key)
    const held = rows.map(({ value }): Held => JSON.parse(value.toString()))
    return held.flatMap(({ event, heardAt }) => {
      const known = this.offsetOf(event, heardAt)
      const offsetMs = known ?? (nowMs - heardAt >= this.#waitMs ? 0 : null)
      return offsetMs === null ? [] : [{ event, time: timeOrHeard(event, offsetMs, heardAt) }]
    })
  }

  release(event: SensorReading): void {
    this.#changed.set(keyFor(event), null)
  }

  takeChanges(): Map<string, Buffer | null> {
    const changes = new Map(this.#changed)
    this.#changed.clear()
    return changes
  }
}

/** A time that is impossible even so is Kafka's. */
function timeOrHeard(event: SensorReading, offsetMs: number, heardAt: number): number {
  try {
    return eventTimeOf(event, offsetMs, heardAt)
  } catch {
    return heardAt
  }
}

const KIND = 'held'
const keyFor = ({ gateway, epoch, sequence }: SensorReading) =>
  keyOf(KIND, gateway, String(epoch), timeKeyPart(sequence))
