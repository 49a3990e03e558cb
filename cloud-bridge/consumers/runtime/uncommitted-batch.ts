import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import type { ReadRecord } from '../../ports/event-stream.ts'
import type { Effect, StateChanges } from '../state/state.ts'
import { createDeadLetter } from './dead-letter.ts'
import type { Deduplication } from './deduplication.ts'
import type { DependencyRetry } from './dependency-retry.ts'
import { type ArrivalCounts, emptyCounts, type Handling, type ReceivedEvent } from './handler.ts'
import type { DecodedRecords, UnusableRecord } from './record-decoder.ts'

export type UncommittedBatchOptions = {
  name: string
  deadLetterTopic: string
  decodeRecords(records: readonly ReadRecord[]): Promise<DecodedRecords>
  retryWhileUnavailable: DependencyRetry
  /** Called for each record that becomes a dead letter. */
  onUnusable?(topic: string, unusable: UnusableRecord): void
}

type Uncommitted = {
  offsets: Map<string, number>
  counts: ArrivalCounts
  deadLetters: Effect[]
  records: number
}

/** Records are decoded in slices: short-lived objects cost the garbage collector little. */
const SLICE_MAX_RECORDS = 200

/** Processes records in memory, one call at a time, and collects the changes for a commit. */
export function createUncommittedBatch(
  deduplication: Deduplication,
  handling: Handling,
  options: UncommittedBatchOptions,
) {
  const { name, deadLetterTopic, retryWhileUnavailable } = options
  let uncommitted = nothingUncommitted()

  /** Handles new events in order; an event for which the handling throws becomes unusable. */
  const handleAll = (received: readonly ReceivedEvent[]): UnusableRecord[] => {
    const unusable: UnusableRecord[] = []
    for (const candidate of received) {
      const { event, topic, record } = candidate
      // A duplicate in the same slice is found only after the first copy was added.
      const arrival = deduplication.arrivalOf(event, topic)
      if (arrival === 'duplicate') {
        uncommitted.counts.duplicate++
        continue
      }
      try {
        handling.handle(arrival === candidate.arrival ? candidate : { ...candidate, arrival })
      } catch (error) {
        unusable.push({ record, reason: (error as Error).message, error: error as Error })
        continue
      }
      uncommitted.counts[arrival]++
      deduplication.add(event, topic)
    }
    return unusable
  }
  const addSlice = async (topic: string, records: readonly ReadRecord[], signal: AbortSignal) => {
    const { events, unusable } = await retryWhileUnavailable(
      () => options.decodeRecords(records),
      signal,
    )
    const decoded = events.map(({ event }) => event)
    await retryWhileUnavailable(() => deduplication.load(decoded), signal)
    const received: ReceivedEvent[] = []
    for (const { event, record } of events) {
      const arrival = deduplication.arrivalOf(event, topic)
      const reason = nameLengthFault(event)
      if (arrival === 'duplicate') uncommitted.counts.duplicate++
      else if (reason !== null) unusable.push({ record, reason })
      else received.push({ event, arrival, topic, record })
    }
    // No retry: after a partial read the rows in memory are inconsistent, so the work restarts.
    await handling.load(received)
    signal.throwIfAborted()
    for (const rejected of [...unusable, ...handleAll(received)]) {
      uncommitted.counts.unusable++
      options.onUnusable?.(topic, rejected)
      const source = { consumer: name, topic, deadLetterTopic }
      uncommitted.deadLetters.push(createDeadLetter(rejected, source))
    }
    uncommitted.offsets.set(topic, records.at(-1)!.offset + 1)
    uncommitted.records += records.length
  }

  return {
    /** The number of records that wait for a commit. */
    get count(): number {
      return uncommitted.records
    },
    /**
     * Processes records. After a rejection the changes in memory are inconsistent and must be
     * discarded.
     */
    async add(topic: string, records: readonly ReadRecord[], signal: AbortSignal): Promise<void> {
      for (let from = 0; from < records.length; from += SLICE_MAX_RECORDS) {
        await addSlice(topic, records.slice(from, from + SLICE_MAX_RECORDS), signal)
      }
    },
    /**
     * Returns all changes since the last call, and how the records arrived. After a rejection the
     * changes in memory must be discarded.
     */
    async drainChanges() {
      await handling.prepareCommit?.()
      const { offsets, counts, deadLetters } = uncommitted
      uncommitted = nothingUncommitted()
      const { rows, effects } = handling.drainChanges()
      const changes: Required<Omit<StateChanges, 'sent'>> = {
        offsets,
        rows: new Map<string, Buffer | null>([...deduplication.drainChanges(), ...rows]),
        effects: [...effects, ...deadLetters],
      }
      return { changes, counts }
    },
  }
}

const nothingUncommitted = (): Uncommitted => ({
  ...{ offsets: new Map(), counts: emptyCounts(), deadLetters: [], records: 0 },
})

/**
 * The largest number of characters of all names in a key of a state: at most 2400 bytes, while
 * PostgreSQL allows 2700 bytes in an index. PostgreSQL would refuse a longer key at each attempt,
 * and the partition would not continue.
 */
const NAMES_MAX_LENGTH = 800

/** Why the names of an event are too long for the keys of a state, or null. */
export function nameLengthFault({ gateway, site, zone, device, measurements }: SensorReading) {
  const own = gateway.length + site.length + zone.length + device.length
  const length = measurements.reduce((most, { metric }) => Math.max(most, own + metric.length), own)
  if (length <= NAMES_MAX_LENGTH) return null
  return `its names have ${length} characters; the state's keys have room for ${NAMES_MAX_LENGTH}`
}
