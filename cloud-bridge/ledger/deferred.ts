import { IntervalSet } from '../interval-set.ts'
import type { DeferredRange, LedgerNote } from './notes.ts'

/** Numbers that came later, or that nobody will bring any more; when Kafka heard of it. */
type Over = DeferredRange & { heardAt: number }

/** What is to come later of one outbox, as its bridge's inbox tells, and what of it is over. */
export type DeferralLedger = {
  open: Map<string, DeferredRange & { teller: string; heardAt: number }>
  over: Map<string, Over>
}

type BehindNote = Extract<LedgerNote, { kind: 'behind' | 'caught up' | 'contact' }>

/** Notes come twice, and an inbox that was restored gives their numbers out again. */
const keyOf = (teller: string, { note, from, to }: DeferredRange) =>
  `${teller} ${note} ${from} ${to}`

/**
 * Takes up that numbers will come later, that all of them came, or which of those told before still
 * will: what another inbox told of is gone with it, and so is what this one does not name any more.
 */
export function addDeferralNote(
  { behind }: { behind: Map<string, DeferralLedger> },
  note: BehindNote,
) {
  const { store, inbox: teller, heardAt } = note
  const known = behind.get(store) ?? { open: new Map(), over: new Map() }
  behind.set(store, known)
  const end = (key: string, one: DeferredRange) => {
    known.open.delete(key)
    known.over.set(key, { ...one, heardAt })
  }
  if (note.kind === 'contact') {
    const named = new Set(note.deferred.map(one => keyOf(teller, one)))
    for (const [key, one] of known.open) {
      if (!named.has(key) && one.heardAt <= heardAt) end(key, one)
    }
    return
  }
  const key = keyOf(teller, note.deferred)
  if (note.kind === 'caught up') end(key, note.deferred)
  else if (!known.over.has(key)) known.open.set(key, { ...note.deferred, teller, heardAt })
}

/** The numbers of an outbox that are still to come later. */
export function deferredSequences(known: DeferralLedger | undefined): IntervalSet {
  const numbers = new IntervalSet()
  for (const { from, to } of known?.open.values() ?? []) {
    numbers.addRange(from, to ?? Number.MAX_SAFE_INTEGER)
  }
  return numbers
}

/**
 * When Kafka had the last of the backlogs that brought numbers between two sequences, both excluded
 * (ms since 1970); null where none did.
 */
export function backlogAppendTimeMs(
  known: DeferralLedger | undefined,
  above: number,
  below: number,
): number | null {
  const all = [...(known?.over.values() ?? [])].filter(
    ({ isBacklog, from, to }) => isBacklog && from < below && (to ?? from) > above,
  )
  return all.length > 0 ? Math.max(...all.map(({ heardAt }) => heardAt)) : null
}
