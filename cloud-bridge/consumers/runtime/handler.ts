import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import type { ReadRecord } from '../../ports/event-stream.ts'
import type { Effect } from '../state/state.ts'
import type { Arrival } from './deduplication.ts'

/** An event that counts, as it came. */
export type ReceivedEvent = {
  event: SensorReading
  arrival: Exclude<Arrival, 'duplicate'>
  topic: string
  record: ReadRecord
}

/** What a handling came to since it was last asked. */
export type HandlingChanges = {
  rows: ReadonlyMap<string, Buffer | null>
  effects: readonly Effect[]
}

/**
 * What a consumer does with the events of one partition, in memory, on a state that is committed
 * behind it.
 */
export type Handling = {
  /**
   * Reads what is needed of the state for these events; others that were handled may not be
   * committed yet. Rejects while it is away.
   */
  load(events: readonly ReceivedEvent[]): Promise<void>
  /**
   * Takes one event that was loaded, in that order. Throws, changing nothing, when it can never be
   * taken.
   */
  handle(arrived: ReceivedEvent): void
  /** All changes since the last call. */
  takeChanges(): HandlingChanges
}

export type ArrivalCounts = Record<Arrival | 'unusable', number>

export const emptyCounts = (): ArrivalCounts => ({
  ...{ 'in order': 0, late: 0, 'out of order': 0, duplicate: 0, unusable: 0 },
})
