import { Intervals } from '../consumers/intervals.ts'
import type { Behind, LedgerNote } from './notes.ts'

/** What is to come later of one outbox, as its bridge's inbox tells. */
export type BehindLedger = {
  /** The inbox that was heard from last; what one before it told of is over, because it is gone. */
  teller: { store: string; heardAt: number }
  /** By the number of the note that told of it. */
  open: Map<number, Behind>
  /** Notes come twice: what is over is not begun again. */
  over: Set<number>
}

type BehindNote = Extract<LedgerNote, { kind: 'behind' | 'caught up' | 'contact' }>

/** Takes up that numbers will come later, or that all of them came. */
export function addBehind({ behind }: { behind: Map<string, BehindLedger> }, note: BehindNote) {
  const { store, teller, heardAt } = note
  let known = behind.get(store)
  if (known && known.teller.store !== teller && known.teller.heardAt > heardAt) return
  if (known?.teller.store !== teller) {
    known = { teller: { store: teller, heardAt }, open: new Map(), over: new Set() }
    behind.set(store, known)
  }
  if (note.kind === 'behind' && !known.over.has(note.sequence)) {
    known.open.set(note.sequence, note.behind)
  }
  if (note.kind === 'caught up') {
    known.open.delete(note.told)
    known.over.add(note.told)
  }
}

/** The numbers of an outbox that are still to come later. */
export function behindOf(known: BehindLedger | undefined): Intervals {
  const numbers = new Intervals()
  for (const { from, to } of known?.open.values() ?? []) {
    numbers.addRange(from, to ?? Number.MAX_SAFE_INTEGER)
  }
  return numbers
}
