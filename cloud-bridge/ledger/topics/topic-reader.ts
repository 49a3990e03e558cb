import type { EventStream, ReadRecord, TopicOffsets } from '../../ports/event-stream.ts'
import { createEventReader, type EventReader } from '../../registry/event-reader.ts'
import type { createLedger } from '../ledger.ts'
import { decodeNote } from '../notes/notes.ts'
import { createStartRecorder } from './log-starts.ts'

export type TopicReaderOptions = {
  stream: EventStream
  ledger: ReturnType<typeof createLedger>
  /**
   * The backfill topic is optional: backlogs can go to the readings topic, and often there was
   * none. Without the dead-letter topic, missing note numbers are not judged.
   */
  topics: { ledger: string; readings: string; backfill?: string; deadletters?: string }
  /** Decodes values; without a schema registry by default. */
  reader?: EventReader
  /** Called for every record that is read. */
  onRecord?: (() => void) | undefined
}

/** Kafka does not have these topics; the message lists their names. */
export class MissingTopics extends Error {}

/** Reads the topics into the ledger: first from their beginning, then from the last offsets on. */
export function createTopicReader({
  stream,
  ledger,
  topics,
  reader = createEventReader(null),
  onRecord = () => {},
}: TopicReaderOptions) {
  const positions = new Map<string, Map<number, number>>()
  const starts = createStartRecorder(ledger, topics)
  let foreign = 0
  if (topics.backfill !== undefined && topics.backfill !== topics.readings) ledger.expectBackfill()

  const addEvent = ({ value, appendTimeMs }: ReadRecord, partition?: number) => {
    const event = reader.read(value)
    if (event) ledger.addEvent({ ...event, appendTimeMs, partition })
    else foreign++
  }
  const add = (topic: string, record: ReadRecord) => {
    starts.record(topic, record)
    if (topic === topics.ledger || topic === topics.deadletters) {
      const isDeadLetter = topic !== topics.ledger
      const note = decodeNote(record.value, record.appendTimeMs)
      if (note) ledger.noteNumbers.add(note, { isDeadLetter })
      if (note && !isDeadLetter) ledger.addNote(note, record.partition)
      // The dead-letter topic also has records of the consumers.
      if (!note && !isDeadLetter) foreign++
    }
    // An event of the backfill topic is added without its partition: a replay can be of any time,
    // so its events say nothing about the oldest event in a partition of the readings.
    else addEvent(record, topic === topics.readings ? record.partition : undefined)
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
      ({ value, appendTimeMs, partition }) => {
        const note = decodeNote(value, appendTimeMs)
        if (note?.kind === 'behind') ledger.addNote(note, partition)
      },
    )
  }

  return {
    /** How many values are neither events nor notes of Sluice. */
    get foreign() {
      return foreign
    },
    /**
     * Reads up to the current ends of the topics. Resolves with the moment of these ends (ms since
     * 1970). Throws MissingTopics, or the client's error while Kafka cannot be reached.
     */
    async readToEnd(): Promise<number> {
      // The notes' end is read first: Kafka stored the events and the dead letters before these
      // notes earlier.
      const { ledger: notes, readings, backfill = readings, deadletters = notes } = topics
      const nowMs = Date.now()
      const names = new Set([notes, deadletters, backfill, readings])
      const offsets = await stream.topicOffsets([...names])
      if (topics.deadletters) ledger.noteNumbers.recordDeadLetterTopic(offsets.has(deadletters))
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
          starts.begin(topic, partition, { offset, isEmpty: end.get(partition) === offset })
        }
        await stream.readBetween(topic, new Map(position), end, record => {
          onRecord()
          add(topic, record)
          position.set(record.partition, record.offset + 1)
        })
      }
      await readNewDeferrals(notes)
      await compareDuplicates([...new Set([backfill, readings])], offsets, {
        stream,
        ledger,
        reader,
        onRecord,
      })
      return nowMs
    },
  }
}

/** Compares duplicates with originals that are no longer in memory, by another read. */
async function compareDuplicates(
  names: string[],
  offsets: Map<string, TopicOffsets>,
  {
    stream,
    ledger,
    reader,
    onRecord,
  }: Required<Omit<TopicReaderOptions, 'onRecord' | 'topics'>> & {
    onRecord(): void
  },
): Promise<void> {
  while (ledger.duplicates.isPending) {
    const compare = ledger.duplicates.openSecondRead()
    for (const topic of names) {
      const { begin = new Map(), end = new Map() } = offsets.get(topic) ?? {}
      await stream.readBetween(topic, new Map(begin), end, ({ value }) => {
        onRecord()
        const event = reader.read(value)
        if (event) compare(event)
      })
    }
  }
}
