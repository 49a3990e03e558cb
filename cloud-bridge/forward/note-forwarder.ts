import type { Config } from '../../config/config.ts'
import { partitionOf } from '../../config/event/partitioner.ts'
import type { Inbox } from '../../gateway/store/inbox.ts'
import type { OutgoingNote } from '../../gateway/store/notes/note-log.ts'
import type { EventSource } from '../../gateway/store/source/event-source.ts'
import { isUnreadableContent } from '../ledger/notes.ts'
import type { Headers } from '../ports/event-sink.ts'
import { createDelivery, type DeliveryOptions } from './forwarder.ts'

const CONTENT_TYPE: Headers = { 'content-type': 'application/json' }

export type Note = OutgoingNote

/** A file with notes: the outbox, or the inbox with what the bridge found. */
export type NoteSource = {
  origin: 'outbox' | 'inbox'
  store: Buffer
  next(): number
  notesFrom(sequence: number): Note[]
  /** Moves on behind what Kafka has. */
  advance(next: number): void
}

export type NoteForwarderOptions = DeliveryOptions & {
  topics: Config['kafka']['topics']
  /** Null when asked to end before it is known. */
  partitionsOf(topic: string): Promise<number | null>
  /** A note that Kafka will never take; it is passed by. */
  onRejected(
    note: Note,
    reason: string,
    from: { store: string; origin: NoteSource['origin'] },
  ): void
  /** Notes that are gone; it must be durable as a note before this returns. */
  onMissing(
    notes: { from: number; to: number },
    from: { store: string; origin: NoteSource['origin'] },
  ): void
}

/**
 * Sends notes as JSON, in their order: dead letters to the one topic, everything else, and what
 * cannot be read, to the ledger. The key is the gateway, so its notes stay in one partition: the
 * gateway that a note names, because it may have been renamed since. At least once; store and
 * sequence tell a note apart. Gives how many were delivered; stops early when asked to end.
 */
export function createNoteForwarder(options: NoteForwarderOptions) {
  const { topics } = options
  const deliver = createDelivery(options)
  // A letter that cannot be read is a lost note: that is for the ledger to tell.
  const topicOf = ({ kind, content }: Note) =>
    kind === 'deadletter' && !isUnreadableContent(content) ? topics.deadletters : topics.ledger

  const send = async (from: NoteSource, gateway: string, topic: string, notes: Note[]) => {
    const key = Buffer.from(gateway)
    const partitions = await options.partitionsOf(topic)
    if (partitions === null) return false
    const partition = partitionOf(key, partitions)
    const facts = { gateway, store: from.store.toString('hex'), origin: from.origin }
    // The content stays apart: it may have a store and a sequence of its own.
    const records = notes.map(({ content, gateway: _, ...note }) => ({
      key,
      partition,
      value: Buffer.from(JSON.stringify({ ...facts, ...note, content })),
      headers: CONTENT_TYPE,
    }))
    const rejections = await deliver({ topic, records })
    if (!rejections) return false
    for (const [index, reason] of rejections.entries()) {
      if (reason !== null) options.onRejected(notes[index]!, reason, facts)
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
      const goesAlong = (note: Note) => topicOf(note) === topic && note.gateway === first.gateway
      let until = delivered
      while (until < notes.length && goesAlong(notes[until]!)) until++
      const run = notes.slice(delivered, until)
      if (!(await send(from, first.gateway ?? gateway, topic, run))) break
      from.advance(run.at(-1)!.sequence + 1)
      delivered = until
    }
    return delivered
  }
}

/**
 * The notes of an outbox, and those of the inbox. Of an outbox that nothing was told of they begin
 * at 1; where the inbox had to be begun anew, at the first that is there, because what is not was
 * pruned, and only what is delivered is.
 */
export function noteSources(outbox: Buffer, source: EventSource, inbox: Inbox): NoteSource[] {
  const of = (
    origin: NoteSource['origin'],
    store: Buffer,
    notesFrom: NoteSource['notesFrom'],
  ): NoteSource => ({
    ...{ origin, store, notesFrom },
    next: () => inbox.nextNote(store) ?? (inbox.recovery && notesFrom(1)[0]?.sequence) ?? 1,
    advance: next => inbox.moveNotes(store, next),
  })
  // Those of the inbox first: live events may wait for them.
  return [of('inbox', inbox.id, inbox.notesFrom), of('outbox', outbox, source.notesFrom)]
}
