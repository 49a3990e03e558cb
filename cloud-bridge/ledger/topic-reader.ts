import type { EventStream, Offsets, ReadRecord } from '../ports/event-stream.ts'
import { createEventReader, type EventReader } from '../registry/event-reader.ts'
import type { createLedger } from './ledger.ts'
import { decodeNote } from './notes.ts'

export type TopicReaderOptions = {
  stream: EventStream
  ledger: ReturnType<typeof createLedger>
  /** A backlog that is drained behind live data may have a topic of its own, or not yet. */
  topics: { ledger: string; readings: string; backfill?: string }
  /** How values are read; without a registry when not given. */
  reader?: EventReader
}

/** Topics that Kafka does not have. */
export class MissingTopics extends Error {}

/** Reads the topics into the ledger: from their beginning at first, then on from where it was. */
export function createTopicReader({
  stream,
  ledger,
  topics,
  reader = createEventReader(null),
}: TopicReaderOptions) {
  const positions = new Map<string, Map<number, number>>()
  /** Partitions of the readings whose next record is the oldest that Kafka still has. */
  const beginning = new Set<number>()
  /** The same of the topic of backlogs, as far as Kafka has deleted something there. */
  const backlogBeginning = new Set<number>()
  let foreign = 0

  const addNote = ({ value, appendTimeMs: heardAt }: ReadRecord) => {
    const note = decodeNote(value, heardAt)
    if (note) ledger.addNote(note)
    else foreign++
  }
  const addEvent = ({ value, appendTimeMs: heardAt }: ReadRecord, partition?: number) => {
    const event = reader.read(value)
    if (event) ledger.addEvent({ ...event, heardAt, partition })
    else foreign++
  }
  // A replay may be of any time: how far back it reaches says nothing of the rest.
  const addReplayed = (record: ReadRecord) => {
    if (backlogBeginning.delete(record.partition)) {
      ledger.cutBacklog(record.partition, record.appendTimeMs)
    }
    return addEvent(record)
  }
  const addReading = (record: ReadRecord, begin: Offsets) => {
    const { partition, appendTimeMs: heardAt } = record
    if (beginning.delete(partition)) {
      const isCut = (begin.get(partition) ?? 0) > 0
      ledger.cut(partition, isCut ? heardAt : Number.NEGATIVE_INFINITY)
    }
    addEvent(record, partition)
  }

  /** That some events come later is told before newer ones are sent, maybe since the notes' end. */
  const hearWhatIsBehind = async (notes: string) => {
    const end = (await stream.topicOffsets([notes])).get(notes)?.end ?? new Map()
    await stream.readBetween(
      notes,
      new Map(positions.get(notes)),
      end,
      ({ value, appendTimeMs: heardAt }) => {
        const note = decodeNote(value, heardAt)
        if (note?.kind === 'behind') ledger.addNote(note)
      },
    )
  }

  return {
    /** Values that are neither events nor notes of ours. */
    get foreign() {
      return foreign
    },
    /**
     * Reads up to the present ends. Throws MissingTopics, or what the client says while Kafka is
     * away.
     */
    async readOn(): Promise<void> {
      // The notes' end first: what they name was stored before, and is on its way at least.
      const { ledger: notes, readings, backfill = readings } = topics
      const stretches = await stream.topicOffsets([...new Set([notes, backfill, readings])])
      const missing = [notes, readings].filter(topic => !stretches.has(topic))
      if (missing.length > 0) throw new MissingTopics(missing.join(', '))
      // After the ends, because a schema is registered before anything is written under it.
      await reader.loadSchemas([readings, backfill])
      for (const [topic, { begin, end }] of stretches) {
        const position = positions.get(topic) ?? new Map<number, number>()
        positions.set(topic, position)
        for (const [partition, offset] of begin) {
          if ((position.get(partition) ?? -1) >= offset) continue
          // At first, or because Kafka deleted what was not read yet.
          position.set(partition, offset)
          if (topic === readings) beginning.add(partition)
          else if (topic === backfill && offset > 0) {
            backlogBeginning.add(partition)
            if (end.get(partition) === offset)
              ledger.cutBacklog(partition, Number.POSITIVE_INFINITY)
          }
        }
        const add = { [notes]: addNote, [readings]: addReading }[topic] ?? addReplayed
        await stream.readBetween(topic, new Map(position), end, record => {
          add(record, begin)
          position.set(record.partition, record.offset + 1)
        })
      }
      await hearWhatIsBehind(notes)
    },
  }
}
