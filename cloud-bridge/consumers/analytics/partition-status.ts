import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import type { ReceivedEvent } from '../runtime/handler.ts'
import { keyOf } from '../state/row-keys.ts'
import type { PartitionState } from '../state/state.ts'

/** The pending readings of a gateway. */
export type PendingOfGateway = {
  readings: number
  /** The append time of the first of them, in ms since 1970. */
  since: number
}

/** What the windows of a partition do not show. All counts since the state began. */
export type StatusCounts = {
  /** Events that were aggregated. */
  readings: number
  /** Events that arrived after later events of their zone, through the other or the same topic. */
  late: number
  outOfOrder: number
  /** Events at the time of receipt: the device's time was a day older, or a minute ahead. */
  older: number
  ahead: number
  /** By gateway. */
  pending: Record<string, PendingOfGateway>
}

/** The key of the row that stores the status. */
export const statusKey = keyOf('status')

export const emptyStatus = (): StatusCounts => ({
  ...{ readings: 0, late: 0, outOfOrder: 0, older: 0, ahead: 0, pending: {} },
})

/** Reads the committed status of a partition. */
export async function readStatus(state: Pick<PartitionState, 'get'>): Promise<StatusCounts> {
  const [row] = await state.get([statusKey])
  return row ? JSON.parse(row.toString()) : emptyStatus()
}

/** The status of a partition, with the changes that the next commit stores. */
export class PartitionStatus {
  readonly #counts: StatusCounts
  readonly #pending: Map<string, PendingOfGateway>
  #isChanged = false

  constructor(stored: StatusCounts) {
    this.#counts = stored
    this.#pending = new Map(Object.entries(stored.pending))
  }

  /** Counts an event that is aggregated at `time`. Returns whether that is the time of receipt. */
  addReading({ observedAt }: SensorReading, time: number): boolean {
    this.#isChanged = true
    this.#counts.readings++
    if (observedAt === null || observedAt === time) return false
    if (observedAt < time) this.#counts.older++
    else this.#counts.ahead++
    return true
  }

  addArrival(arrival: ReceivedEvent['arrival']): void {
    if (arrival === 'in order') return
    this.#isChanged = true
    if (arrival === 'late') this.#counts.late++
    else this.#counts.outOfOrder++
  }

  addPending({ gateway }: SensorReading, appendTimeMs: number): void {
    this.#isChanged = true
    const pending = this.#pending.get(gateway) ?? { readings: 0, since: appendTimeMs }
    this.#pending.set(gateway, pending)
    pending.readings++
    pending.since = Math.min(pending.since, appendTimeMs)
  }

  removePending({ gateway }: SensorReading): void {
    this.#isChanged = true
    const pending = this.#pending.get(gateway)
    if (pending && --pending.readings === 0) this.#pending.delete(gateway)
  }

  /** Sets the append time of the first pending reading of gateways. */
  setPendingSince(since: ReadonlyMap<string, number>): void {
    for (const [gateway, first] of since) {
      const pending = this.#pending.get(gateway)
      if (!pending || pending.since === first) continue
      this.#isChanged = true
      pending.since = first
    }
  }

  /** Returns the row with the changes since the last call; empty without changes. */
  drainChanges(): Map<string, Buffer> {
    if (!this.#isChanged) return new Map()
    this.#isChanged = false
    const counts: StatusCounts = { ...this.#counts, pending: Object.fromEntries(this.#pending) }
    return new Map([[statusKey, Buffer.from(JSON.stringify(counts))]])
  }
}
