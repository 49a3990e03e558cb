import type { Config } from '../../config/config.ts'
import { partitionOf } from '../../config/event/partitioner.ts'
import type { Inbox } from '../../gateway/store/inbox.ts'
import type { OutgoingNote } from '../../gateway/store/notes/note-log.ts'
import type { EventSource } from '../../gateway/store/source/event-source.ts'
import { isUnreadableContent } from '../ledger/notes/notes.ts'
import type { Headers } from '../ports/event-sink.ts'
import { createDelivery, type DeliveryOptions } from './forwarder.ts'

const CONTENT_TYPE: Headers = { 'content-type': 'application/json' }

export type Note = OutgoingNote

/**
 * A file that contains notes: the outbox contains the gateway's notes, the inbox the bridge's
 * notes.
 */
export type NoteSource = {
  origin: 'outbox' | 'inbox'
  store: Buffer
  /** The number of the next undelivered note. */
  next(): number
  notesFrom(sequence: number): Note[]
  /** Records that Kafka has stored the notes before `next`. */
  advance(next: number): void
}

type Origin = { store: string; origin: NoteSource['origin'] }

export type NoteForwarderOptions = DeliveryOptions & {
  topics: Config['kafka']['topics']
  /** Null when `signal` aborts before Kafka answers. */
  partitionsOf(topic: string): Promise<number | null>
  /** Called when Kafka rejects a note for good; delivery continues with the next note. */
  onRejected(note: Note, reason: string, from: Origin & { topic: string }): void
  /**
   * Called for numbers that have no note; must write a note about these numbers durably before it
   * returns.
   */
  onMissing(notes: { from: number; to: number }, from: Origin): void
}

/**
 * Sends notes as JSON, in order: dead letters to their topic; all other notes, and notes whose
 * content is unreadable, to the ledger. The key is the gateway, so the notes of a gateway stay in
 * one partition; a note that names a gateway uses that name, because the gateway may have been
 * renamed since. Delivery is at least once; store and sequence identify a note. Returns how many
 * notes were delivered; ends early when `signal` aborts.
 */
export function createNoteForwarder(options: NoteForwarderOptions) {
  const { topics } = options
  const deliver = createDelivery(options)
  // A dead letter with unreadable content is a lost note, which the ledger must report.
  const topicOf = ({ kind, content }: Note) =>
    kind === 'deadletter' && !isUnreadableContent(content) ? topics.deadletters : topics.ledger

  const send = async (from: NoteSource, gateway: string, topic: string, notes: Note[]) => {
    const key = Buffer.from(gateway)
    const partitions = await options.partitionsOf(topic)
    if (partitions === null) return false
    const partition = partitionOf(key, partitions)
    const facts = { gateway, store: from.store.toString('hex'), origin: from.origin }
    // The content is nested, because it may have a store and a sequence of its own.
    const records = notes.map(({ content, gateway: _, ...note }) => ({
      key,
      partition,
      value: Buffer.from(JSON.stringify({ ...facts, ...note, content })),
      headers: CONTENT_TYPE,
    }))
    const fates = await deliver({ topic, records })
    if (!fates) return false
    for (const [index, reason] of fates.entries()) {
      if (reason !== null) options.onRejected(notes[index]!, reason, { ...facts, topic })
    }
    let next = from.next()
    for (const { sequence } of notes) {
      if (sequence > next) options.onMissing({ from: next, to: sequence - 1 }, facts)
      next = sequence + 1
    }
    return true
  }

  return async (from: NoteSource, gateway: string): Promise<number> => {
    const notes = from.notesFrom(from.next())
    let delivered = 0
    while (delivered < notes.length) {
      const first = notes[delivered]!
      const topic = topicOf(first)
      const isOfBatch = (note: Note) => topicOf(note) === topic && note.gateway === first.gateway
      let end = delivered
      while (end < notes.length && isOfBatch(notes[end]!)) end++
      const batch = notes.slice(delivered, end)
      if (!(await send(from, first.gateway ?? gateway, topic, batch))) break
      from.advance(batch.at(-1)!.sequence + 1)
      delivered = end
    }
    return delivered
  }
}

/**
 * The notes of the inbox and of an outbox. Without a recorded position the notes begin at 1. After
 * the inbox was rebuilt, the notes begin at the first stored note: earlier notes were pruned, and
 * only delivered notes are pruned.
 */
export function noteSources(outbox: Buffer, source: EventSource, inbox: Inbox): NoteSource[] {
  const sourceOf = (
    origin: NoteSource['origin'],
    store: Buffer,
    notesFrom: NoteSource['notesFrom'],
  ): NoteSource => ({
    ...{ origin, store, notesFrom },
    next: () => inbox.nextNote(store) ?? (inbox.recovery && notesFrom(1)[0]?.sequence) ?? 1,
    advance: next => inbox.moveNotes(store, next),
  })
  // The inbox is first, because live events may wait for its notes.
  return [
    sourceOf('inbox', inbox.id, inbox.notesFrom),
    sourceOf('outbox', outbox, source.notesFrom),
  ]
}
