import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import type { ReadRecord } from '../../ports/event-stream.ts'
import type { Effect } from '../state/state.ts'
import type { Arrival } from './deduplication.ts'

/** An event that is no duplicate, with its record and how it arrived. */
export type ReceivedEvent = {
  event: SensorReading
  arrival: Exclude<Arrival, 'duplicate'>
  topic: string
  record: ReadRecord
}

/** The uncommitted changes of a handling: rows of the state (null deletes) and effects. */
export type HandlingChanges = {
  rows: ReadonlyMap<string, Buffer | null>
  effects: readonly Effect[]
}

/**
 * How a consumer processes the events of one partition: in memory, on a state that is committed
 * afterwards.
 */
export type Handling = {
  /**
   * Loads the rows that the events need. Earlier events may be uncommitted. Rejects while the state
   * is unavailable.
   */
  load(events: readonly ReceivedEvent[]): Promise<void>
  /**
   * Processes one loaded event; calls come in the order of `load`. Throws, without a change, when
   * the event can never be processed.
   */
  handle(received: ReceivedEvent): void
  /**
   * Finishes work for which further rows must be loaded; called before each `drainChanges`. Rejects
   * while the state is unavailable.
   */
  prepareCommit?(): Promise<void>
  /** Returns all changes since the last call. */
  drainChanges(): HandlingChanges
}

/** How many records arrived in each way; `unusable` records became dead letters. */
export type ArrivalCounts = Record<Arrival | 'unusable', number>

export const emptyCounts = (): ArrivalCounts => ({
  ...{ 'in order': 0, late: 0, 'out of order': 0, duplicate: 0, unusable: 0 },
})
