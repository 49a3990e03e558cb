import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import type { DeliveredContent, DeliveredNote } from './delivery.ts'
import type { SampleStore } from './sample-store.ts'

/** What a flip did in the end. */
export type FlipJudgement = {
  /** Readings and notes that did not arrive and are named by a note. */
  lost: number
  lostNotes: number
  /** What must never be, in words. */
  faults: string[]
}

type Span = { from: number; to: number }

/**
 * Holds what arrived against what was stored, before the flip and after it (`later`: the number in
 * the reading, by sequence): each event arrived unchanged, or a note names it; each note arrived
 * unchanged, or a note says that it did not; and no number was given twice.
 */
export function judgeFlip(
  original: SampleStore,
  later: Map<number, number>,
  arrived: DeliveredContent,
): FlipJudgement {
  const faults: string[] = []
  const expected = new Map(original.delivered.events.map(event => [event.sequence, event.value]))
  const isRight = (sequence: number, value: Buffer) => {
    // What was delivered before the flip is not known here, and may come again.
    if (sequence <= original.deliveredUpTo) return true
    const number = later.get(sequence)
    if (number === undefined) return expected.get(sequence)?.equals(value)
    return decodeEvent(value).measurements[0]?.number === number
  }
  for (const sequence of later.keys()) {
    if (sequence <= original.lastSequence) faults.push(`number ${sequence} was given out again`)
  }
  const got = new Set<number>()
  for (const { sequence, value } of arrived.events) {
    if (!isRight(sequence, value)) faults.push(`event ${sequence} is another one`)
    got.add(sequence)
  }
  const all = [...expected.keys(), ...later.keys()]
  const named = spansIn(arrived.notes, ({ content }) => [content])
  const missing = all.filter(sequence => !got.has(sequence))
  const unnamed = missing.filter(sequence => !isIn(named, sequence))
  if (unnamed.length > 0) faults.push(`events lost and not named: ${unnamed.join(' ')}`)
  const notes = judgeNotes(original, arrived, faults)
  return { lost: missing.length - unnamed.length, lostNotes: notes, faults }
}

function judgeNotes(original: SampleStore, arrived: DeliveredContent, faults: string[]): number {
  const own = ({ origin }: DeliveredNote) => origin === 'outbox'
  const textOf = ({ kind, content }: DeliveredNote) => JSON.stringify([kind, content])
  const arrivedNotes = arrived.notes.filter(own)
  const gone = spansIn(arrived.notes, ({ content }) => [
    content.notes,
    ...((content.lostNotes as unknown[]) ?? []),
  ])
  let lost = 0
  for (const note of original.delivered.notes.filter(own)) {
    const same = arrivedNotes.filter(({ sequence }) => sequence === note.sequence)
    if (same.some(one => textOf(one) === textOf(note))) continue
    // Of one whose checksum differs, nothing but that is told.
    const isNamed = same.some(({ content }) => content.reason === 'note checksum differs')
    if (isNamed || isIn(gone, note.sequence)) lost++
    else faults.push(`note ${note.sequence} (${note.kind}) lost and not named`)
  }
  return lost
}

function spansIn(notes: DeliveredNote[], of: (note: DeliveredNote) => unknown[]): Span[] {
  const isSpan = (one: unknown): one is Span => Number.isInteger((one as Partial<Span>)?.from)
  return notes.flatMap(note => of(note).filter(isSpan))
}

const isIn = (spans: Span[], number: number) =>
  spans.some(({ from, to }) => from <= number && number <= to)
