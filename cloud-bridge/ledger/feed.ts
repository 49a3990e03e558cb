import { decodeEvent, type SensorReading } from '../../config/events.ts'
import type { KafkaOptions } from '../kafka/client.ts'
import { type ReadRecord, readBetween, stretchesOf } from '../kafka/reader.ts'
import type { startLedger } from './ledger.ts'
import { readNote } from './notes.ts'

export type FeedOptions = {
  kafka: KafkaOptions
  ledger: ReturnType<typeof startLedger>
  /** A backlog that is drained behind live data may have a topic of its own, or not yet. */
  topics: { ledger: string; readings: string; backfill?: string }
}

/** Topics that Kafka does not have. */
export class MissingTopics extends Error {}

/** Reads the topics into the ledger: from their beginning at first, then on from where it was. */
export function startFeed({ kafka, ledger, topics }: FeedOptions) {
  const positions = new Map<string, Map<number, number>>()
  let [foreign, expiredBefore] = [0, Number.NEGATIVE_INFINITY]

  const addNote = ({ value }: ReadRecord) => {
    const note = readNote(value)
    if (note) ledger.addNote(note)
    else foreign++
  }
  const addEvent = ({ value }: ReadRecord, isOldest: boolean) => {
    const event = eventIn(value)
    if (!event) {
      foreign++
      return
    }
    ledger.addEvent(event)
    // Where Kafka has deleted what was before it, it tells how far back the topic reaches.
    if (isOldest) expiredBefore = Math.max(expiredBefore, event.receivedAt)
  }

  return {
    /** Values that are neither events nor notes of ours. */
    get foreign() {
      return foreign
    },
    /** What was accepted before this moment (ms since 1970), Kafka may have deleted. */
    get expiredBefore() {
      return expiredBefore
    },
    /**
     * Reads up to the present ends. Throws MissingTopics, or what the client says while Kafka is
     * away.
     */
    async readOn(): Promise<void> {
      // The notes' end first: what they name was stored before, and is on its way at least.
      const { ledger: notes, readings, backfill = readings } = topics
      const stretches = await stretchesOf(kafka, [...new Set([notes, backfill, readings])])
      const missing = [notes, readings].filter(topic => !stretches.has(topic))
      if (missing.length > 0) throw new MissingTopics(missing.join(', '))
      for (const [topic, { begin, end }] of stretches) {
        const position = positions.get(topic) ?? new Map(begin)
        positions.set(topic, position)
        const add = topic === notes ? addNote : addEvent
        // A replay may be of any time: how far back it reaches says nothing of the rest.
        const tells = topic === readings
        await readBetween(kafka, topic, new Map(position), end, record => {
          const { partition, offset } = record
          add(record, tells && offset === begin.get(partition) && offset > 0)
          position.set(partition, offset + 1)
        })
      }
    },
  }
}

function eventIn(value: Buffer): SensorReading | null {
  try {
    return decodeEvent(value)
  } catch {
    return null
  }
}
