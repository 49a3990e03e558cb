import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import type { ReadRecord } from '../../ports/event-stream.ts'
import type { Effect, StateChanges } from '../state/state.ts'
import { createDeadLetter } from './dead-letter.ts'
import type { Deduplication } from './deduplication.ts'
import type { DependencyWait } from './dependency-wait.ts'
import { type ArrivalCounts, emptyCounts, type Handling, type ReceivedEvent } from './handler.ts'
import type { DecodedRecords, UnusableRecord } from './record-decoder.ts'

export type UncommittedBatchOptions = {
  name: string
  deadletters: string
  read(records: readonly ReadRecord[]): Promise<DecodedRecords>
  waitForDependencies: DependencyWait
}

/** What was taken and not committed. */
type Taken = {
  offsets: Map<string, number>
  counts: ArrivalCounts
  letters: Effect[]
  records: number
}

/** So many records are events at a time: what goes soon costs the garbage collector little. */
const AT_ONCE = 200

/** Gives what takes records in memory, one call at a time, and what a commit of them changes. */
export function createUncommittedBatch(
  arrivals: Deduplication,
  handling: Handling,
  options: UncommittedBatchOptions,
) {
  const { name, deadletters, waitForDependencies } = options
  let taken = nothingTaken()

  /** Takes what is new, in order; what a handling throws at is put aside and does not count. */
  const handle = (arrived: readonly ReceivedEvent[]): UnusableRecord[] => {
    const unusable: UnusableRecord[] = []
    for (const one of arrived) {
      // A second copy in the same batch shows only now.
      const arrival = arrivals.arrivalOf(one.event, one.topic)
      if (arrival === 'duplicate') {
        taken.counts.duplicate++
        continue
      }
      try {
        handling.handle(arrival === one.arrival ? one : { ...one, arrival })
      } catch (error) {
        unusable.push({ record: one.record, reason: (error as Error).message })
        continue
      }
      taken.counts[arrival]++
      arrivals.add(one.event, one.topic)
    }
    return unusable
  }
  const takeSome = async (topic: string, records: readonly ReadRecord[], signal: AbortSignal) => {
    const { events, unusable } = await waitForDependencies(() => options.read(records), signal)
    const found = events.map(({ event }) => event)
    await waitForDependencies(() => arrivals.load(found), signal)
    const fresh: ReceivedEvent[] = []
    for (const { event, record } of events) {
      const arrival = arrivals.arrivalOf(event, topic)
      const reason = nameLengthFault(event)
      if (arrival === 'duplicate') taken.counts.duplicate++
      else if (reason !== null) unusable.push({ record, reason })
      else fresh.push({ event, arrival, topic, record })
    }
    // What was read in part is no base to go on from: when this fails, the work begins anew.
    await handling.load(fresh)
    signal.throwIfAborted()
    for (const one of [...unusable, ...handle(fresh)]) {
      taken.counts.unusable++
      taken.letters.push(createDeadLetter(one, { consumer: name, topic, deadletters }))
    }
    taken.offsets.set(topic, records.at(-1)!.offset + 1)
    taken.records += records.length
  }

  return {
    /** How many records wait for a commit. */
    get count(): number {
      return taken.records
    },
    /** When it rejects, what is in memory is no base to go on from. */
    async take(topic: string, records: readonly ReadRecord[], signal: AbortSignal): Promise<void> {
      for (let from = 0; from < records.length; from += AT_ONCE) {
        await takeSome(topic, records.slice(from, from + AT_ONCE), signal)
      }
    },
    /** All that was taken since the last call, and how it came. */
    takeChanges() {
      const { offsets, counts, letters } = taken
      taken = nothingTaken()
      const { rows, effects } = handling.takeChanges()
      const changes: Required<Omit<StateChanges, 'sent'>> = {
        offsets,
        rows: joined(arrivals.takeChanges(), rows),
        effects: [...effects, ...letters],
      }
      return { changes, counts }
    },
  }
}

const nothingTaken = (): Taken => ({
  ...{ offsets: new Map(), counts: emptyCounts(), letters: [], records: 0 },
})

function joined<V>(one: Map<string, V>, other: ReadonlyMap<string, V | null>) {
  const all = new Map<string, V | null>(one)
  for (const [key, value] of other) all.set(key, value)
  return all
}

/**
 * So many characters of names a key of a state has room for: at most 2400 bytes, where PostgreSQL
 * takes 2700 in an index. One that is longer would be refused for ever and hold up its partition.
 */
const NAMES_MAX_LENGTH = 800

/** Why the names of an event are too long for the keys of a state, or null. */
export function nameLengthFault({ gateway, site, zone, device, measurements }: SensorReading) {
  const own = gateway.length + site.length + zone.length + device.length
  const length = measurements.reduce((most, { metric }) => Math.max(most, own + metric.length), own)
  if (length <= NAMES_MAX_LENGTH) return null
  return `its names have ${length} characters, and a state has room for ${NAMES_MAX_LENGTH}`
}
