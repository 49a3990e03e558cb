import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import type { DeliveredContent, DeliveredNote } from './delivery.ts'
import type { SampleStore } from './sample-store.ts'

/** The consequences of a flip. */
export type FlipJudgement = {
  /** Readings that were not delivered and are named by a note. */
  lost: number
  /** Notes that were not delivered and are named by a note. */
  lostNotes: number
  /** Descriptions of broken promises. */
  faults: string[]
}

type Span = { from: number; to: number }

/**
 * Compares the delivered content with the stored content, before and after the flip. `storedLater`
 * maps the sequence of each reading that was stored after the flip to the number in the reading.
 * Each event must be delivered unchanged or be named by a note; each note must be delivered
 * unchanged or be named by another note; and no sequence may be used twice.
 */
export function judgeFlip(
  sample: SampleStore,
  storedLater: Map<number, number>,
  delivered: DeliveredContent,
): FlipJudgement {
  const faults: string[] = []
  const expected = new Map(sample.delivered.events.map(event => [event.sequence, event.value]))
  const isUnchanged = (sequence: number, value: Buffer) => {
    // The bridge may repeat events that it delivered before the flip; their content is unknown
    // here.
    if (sequence <= sample.deliveredUpTo) return true
    const number = storedLater.get(sequence)
    if (number === undefined) return expected.get(sequence)?.equals(value)
    return decodeEvent(value).measurements[0]?.number === number
  }
  for (const sequence of storedLater.keys()) {
    if (sequence <= sample.lastSequence) faults.push(`sequence ${sequence} was assigned twice`)
  }
  const received = new Set<number>()
  for (const { sequence, value } of delivered.events) {
    if (!isUnchanged(sequence, value)) faults.push(`event ${sequence} was changed`)
    received.add(sequence)
  }
  const stored = [...expected.keys(), ...storedLater.keys()]
  const named = spansIn(delivered.notes, ({ content }) => [content])
  const missing = stored.filter(sequence => !received.has(sequence))
  const unnamed = missing.filter(sequence => !isIn(named, sequence))
  if (unnamed.length > 0) faults.push(`events lost and not named: ${unnamed.join(' ')}`)
  const lostNotes = judgeNotes(sample, delivered, faults)
  return { lost: missing.length - unnamed.length, lostNotes, faults }
}

function judgeNotes(sample: SampleStore, delivered: DeliveredContent, faults: string[]): number {
  const isFromOutbox = ({ origin }: DeliveredNote) => origin === 'outbox'
  const textOf = ({ kind, content }: DeliveredNote) => JSON.stringify([kind, content])
  const deliveredNotes = delivered.notes.filter(isFromOutbox)
  const named = spansIn(delivered.notes, ({ content }) => [
    content.notes,
    ...((content.lostNotes as unknown[]) ?? []),
  ])
  let lost = 0
  for (const note of sample.delivered.notes.filter(isFromOutbox)) {
    const sameNumber = deliveredNotes.filter(({ sequence }) => sequence === note.sequence)
    if (sameNumber.some(candidate => textOf(candidate) === textOf(note))) continue
    // The bridge delivers a note with a wrong checksum with that reason in place of its content.
    const isUnreadable = sameNumber.some(
      ({ content }) => content.reason === 'note checksum differs',
    )
    if (isUnreadable || isIn(named, note.sequence)) lost++
    else faults.push(`note ${note.sequence} (${note.kind}) lost and not named`)
  }
  return lost
}

function spansIn(notes: DeliveredNote[], candidatesIn: (note: DeliveredNote) => unknown[]): Span[] {
  const isSpan = (candidate: unknown): candidate is Span =>
    Number.isInteger((candidate as Partial<Span>)?.from)
  return notes.flatMap(note => candidatesIn(note).filter(isSpan))
}

const isIn = (spans: Span[], number: number) =>
  spans.some(({ from, to }) => from <= number && number <= to)
