import type { SensorReading } from '../../../config/events.ts'
import type { ReadRecord } from '../../event-stream.ts'
import type { AnyVersion, Changes, Effect, PartitionState } from '../state/state.ts'
import { type Arrival, Arrivals } from './arrivals.ts'
import { deadLetter } from './dead-letter.ts'
import { tooLong } from './names.ts'
import type { Patience } from './patience.ts'
import type { Read, Unusable } from './reading.ts'
import type { Work } from './work.ts'

/** An event that counts, as it came. */
export type Arrived = {
  event: SensorReading
  arrival: Exclude<Arrival, 'duplicate'>
  topic: string
  record: ReadRecord
}

/** What a handling came to since it was last asked. */
export type Outcome = {
  rows: ReadonlyMap<string, Buffer | null>
  effects: readonly Effect[]
}

/**
 * What a consumer does with the events of one partition, in memory, on a state that is committed
 * behind it.
 */
export type Handling = {
  /** Reads what is needed of the state for these events. Rejects while it is away. */
  load(events: readonly Arrived[]): Promise<void>
  /** Takes one event that was loaded. Throws, changing nothing, when it can never be taken. */
  handle(arrived: Arrived): void
  /** All changes since the last call. */
  takeChanges(): Outcome
}

export type Counts = Record<Arrival | 'unusable', number>

export type StatefulOptions = {
  name: string
  state: Pick<AnyVersion, 'claim'>
  partition: number
  /** Of the records of each topic. */
  read(records: readonly ReadRecord[]): Promise<Read>
  deadletters: string
  start(state: PartitionState): Promise<Handling>
  /** Tries again what is away for a while. */
  patience: Patience
  /**
   * Once at the start, with nothing counted, and after each commit: how what it was about had come,
   * and how many numbers are missing now. Effects may wait.
   */
  onCommitted(counts: Counts, state: PartitionState, missing: number): void
  /** The partition may be another's from now on. */
  onEnded(state: PartitionState): void
}

/** The work of a consumer whose state and offsets are committed together. */
export async function openStatefulWork(options: StatefulOptions): Promise<Work> {
  const { name, partition, patience, deadletters } = options
  const state = await options.state.claim(partition)
  const arrivals = await Arrivals.read(state)
  const handling = await options.start(state)
  const next = new Map(state.offsets)
  options.onCommitted(emptyCounts(), state, arrivals.missing)

  /** Takes what is new, in order; what a handling throws at is put aside and does not count. */
  const handle = (arrived: readonly Arrived[], counts: Counts): Unusable[] => {
    const unusable: Unusable[] = []
    for (const one of arrived) {
      // A second copy in the same batch shows only now.
      const arrival = arrivals.tell(one.event, one.topic)
      if (arrival === 'duplicate') {
        counts.duplicate++
        continue
      }
      try {
        handling.handle({ ...one, arrival })
      } catch (error) {
        unusable.push({ record: one.record, reason: (error as Error).message })
        continue
      }
      counts[arrival]++
      arrivals.add(one.event, one.topic)
    }
    return unusable
  }

  return {
    next,
    async take(topic, records, signal) {
      const last = records.at(-1)
      if (!last) return
      const { events, unusable } = await patience(() => options.read(records), signal)
      const found = events.map(({ event }) => event)
      await patience(() => arrivals.load(found), signal)
      const counts: Counts = emptyCounts()
      const fresh: Arrived[] = []
      for (const { event, record } of events) {
        const arrival = arrivals.tell(event, topic)
        const reason = tooLong(event)
        if (arrival === 'duplicate') counts.duplicate++
        else if (reason !== null) unusable.push({ record, reason })
        else fresh.push({ event, arrival, topic, record })
      }
      // What was read in part is no base to go on from: when this fails, the work begins anew.
      await handling.load(fresh)
      signal.throwIfAborted()
      const buried = [...unusable, ...handle(fresh, counts)]
      counts.unusable = buried.length
      const { rows, effects } = handling.takeChanges()
      const letters = buried.map(one => deadLetter(one, { consumer: name, topic, deadletters }))
      const changes: Changes = {
        offsets: new Map([[topic, last.offset + 1]]),
        rows: joined(arrivals.takeChanges(), rows),
        effects: [...effects, ...letters],
      }
      await patience(() => state.commit(changes), signal)
      next.set(topic, last.offset + 1)
      options.onCommitted(counts, state, arrivals.missing)
    },
    async [Symbol.asyncDispose]() {
      options.onEnded(state)
    },
  }
}

export const emptyCounts = (): Counts => ({
  ...{ 'in order': 0, late: 0, 'out of order': 0, duplicate: 0, unusable: 0 },
})

function joined<V>(one: Map<string, V>, other: ReadonlyMap<string, V | null>) {
  const all = new Map<string, V | null>(one)
  for (const [key, value] of other) all.set(key, value)
  return all
}
