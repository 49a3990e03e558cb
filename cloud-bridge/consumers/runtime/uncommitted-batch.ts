import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import type { ReadRecord } from '../../ports/event-stream.ts'
import type { Changes, Effect } from '../state/state.ts'
import { deadLetter } from './dead-letter.ts'
import type { Arrivals } from './deduplication.ts'
import type { Patience } from './dependency-wait.ts'
import { type Arrived, type Counts, emptyCounts, type Handling } from './handler.ts'
import type { Read, Unusable } from './record-decoder.ts'

export type TakingOptions = {
  name: string
  deadletters: string
  read(records: readonly ReadRecord[]): Promise<Read>
  patience: Patience
}

/** What was taken and not committed. */
type Taken = { offsets: Map<string, number>; counts: Counts; letters: Effect[]; records: number }

/** So many records are events at a time: what goes soon costs the garbage collector little. */
const AT_ONCE = 200

/** Gives what takes records in memory, one call at a time, and what a commit of them changes. */
export function startTaking(arrivals: Arrivals, handling: Handling, options: TakingOptions) {
  const { name, deadletters, patience } = options
  let taken = nothingTaken()

  /** Takes what is new, in order; what a handling throws at is put aside and does not count. */
  const handle = (arrived: readonly Arrived[]): Unusable[] => {
    const unusable: Unusable[] = []
    for (const one of arrived) {
      // A second copy in the same batch shows only now.
      const arrival = arrivals.tell(one.event, one.topic)
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
    const { events, unusable } = await patience(() => options.read(records), signal)
    const found = events.map(({ event }) => event)
    await patience(() => arrivals.load(found), signal)
    const fresh: Arrived[] = []
    for (const { event, record } of events) {
      const arrival = arrivals.tell(event, topic)
      const reason = tooLong(event)
      if (arrival === 'duplicate') taken.counts.duplicate++
      else if (reason !== null) unusable.push({ record, reason })
      else fresh.push({ event, arrival, topic, record })
    }
    // What was read in part is no base to go on from: when this fails, the work begins anew.
    await handling.load(fresh)
    signal.throwIfAborted()
    for (const one of [...unusable, ...handle(fresh)]) {
      taken.counts.unusable++
      taken.letters.push(deadLetter(one, { consumer: name, topic, deadletters }))
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
      const changes: Required<Omit<Changes, 'sent'>> = {
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
export function tooLong({ gateway, site, zone, device, measurements }: SensorReading) {
  const own = gateway.length + site.length + zone.length + device.length
  const length = measurements.reduce((most, { metric }) => Math.max(most, own + metric.length), own)
  if (length <= NAMES_MAX_LENGTH) return null
  return `its names have ${length} characters, and a state has room for ${NAMES_MAX_LENGTH}`
}
