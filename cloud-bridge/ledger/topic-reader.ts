import type { EventStream, Offsets, ReadRecord } from '../ports/event-stream.ts'
import { createEventReader, type EventReader } from '../registry/event-reader.ts'
import type { createLedger } from './ledger.ts'
import { decodeNote } from './notes/notes.ts'

export type TopicReaderOptions = {
  stream: EventStream
  ledger: ReturnType<typeof createLedger>
  /**
   * The backfill topic is optional: backlogs can go to the readings topic, and often there was
   * none.
   */
  topics: { ledger: string; readings: string; backfill?: string }
  /** Decodes values; without a schema registry by default. */
  reader?: EventReader
}

/** Kafka does not have these topics; the message lists their names. */
export class MissingTopics extends Error {}

/** Reads the topics into the ledger: first from their beginning, then from the last offsets on. */
export function createTopicReader({
  stream,
  ledger,
  topics,
  reader = createEventReader(null),
}: TopicReaderOptions) {
  const positions = new Map<string, Map<number, number>>()
  /** Partitions of the readings whose next record is the oldest that Kafka still has. */
  const atReadingsStart = new Set<number>()
  /** Partitions of the backfill topic whose next record is the oldest that retention left. */
  const atBackfillStart = new Set<number>()
  let foreign = 0

  const addNote = ({ value, appendTimeMs }: ReadRecord) => {
    const note = decodeNote(value, appendTimeMs)
    if (note) ledger.addNote(note)
    else foreign++
  }
  const addEvent = ({ value, appendTimeMs }: ReadRecord, partition?: number) => {
    const event = reader.read(value)
    if (event) ledger.addEvent({ ...event, appendTimeMs, partition })
    else foreign++
  }
  // The event is added without its partition: a replay can be of any time, so its events say
  // nothing about the oldest event in a partition of the readings.
  const addBackfill = (record: ReadRecord) => {
    if (atBackfillStart.delete(record.partition)) {
      ledger.setBackfillLogStart(record.partition, record.appendTimeMs)
    }
    return addEvent(record)
  }
  const addReading = (record: ReadRecord, begin: Offsets) => {
    const { partition, appendTimeMs } = record
    if (atReadingsStart.delete(partition)) {
      const isTruncated = (begin.get(partition) ?? 0) > 0
      ledger.setLogStart(partition, isTruncated ? appendTimeMs : Number.NEGATIVE_INFINITY)
    }
    addEvent(record, partition)
  }

  /**
   * The bridge writes a deferral note before it sends newer events. Such a note can be newer than
   * the end of the notes at the start of `readToEnd`, so this function reads the notes once more.
   */
  const readNewDeferrals = async (notes: string) => {
    const end = (await stream.topicOffsets([notes])).get(notes)?.end ?? new Map()
    await stream.readBetween(
      notes,
      new Map(positions.get(notes)),
      end,
      ({ value, appendTimeMs }) => {
        const note = decodeNote(value, appendTimeMs)
        if (note?.kind === 'behind') ledger.addNote(note)
      },
    )
  }

  return {
    /** How many values are neither events nor notes of Sluice. */
    get foreign() {
      return foreign
    },
    /**
     * Reads up to the current ends of the topics. Throws MissingTopics, or the client's error while
     * Kafka cannot be reached.
     */
    async readToEnd(): Promise<void> {
      // The notes' end is read first: Kafka stored the events that these notes name earlier.
      const { ledger: notes, readings, backfill = readings } = topics
      const offsets = await stream.topicOffsets([...new Set([notes, backfill, readings])])
      const missing = [notes, readings].filter(topic => !offsets.has(topic))
      if (missing.length > 0) throw new MissingTopics(missing.join(', '))
      // After the ends, because a schema is registered before the first record uses the schema.
      await reader.loadSchemas([readings, backfill])
      for (const [topic, { begin, end }] of offsets) {
        const position = positions.get(topic) ?? new Map<number, number>()
        positions.set(topic, position)
        for (const [partition, offset] of begin) {
          if ((position.get(partition) ?? -1) >= offset) continue
          // The first read, or retention deleted records before they were read.
          position.set(partition, offset)
          if (topic === readings) atReadingsStart.add(partition)
          else if (topic === backfill && offset > 0) {
            atBackfillStart.add(partition)
            if (end.get(partition) === offset)
              ledger.setBackfillLogStart(partition, Number.POSITIVE_INFINITY)
          }
        }
        const add = { [notes]: addNote, [readings]: addReading }[topic] ?? addBackfill
        await stream.readBetween(topic, new Map(position), end, record => {
          add(record, begin)
          position.set(record.partition, record.offset + 1)
        })
      }
      await readNewDeferrals(notes)
    },
  }
}
