/** What the workload is doing; what it writes into a main file counts as checkpoint. */
export type Phase = 'migration' | 'open' | 'commit' | 'checkpoint' | 'prune' | 'inbox'

/** How many of each kind, counted from 1 over the whole life of a store. */
export type Amounts = { readings: number; deadLetters: number }

/** What may be let go: events and dead letters up to a number, notes before one. */
export type Pruned = Amounts & { notesBefore: number }

/**
 * A line of the file `marks`, which stands in the recording between the writes it speaks of: what
 * is about to be asked of the store, and what the store has promised.
 */
export type Mark =
  | { phase: Phase }
  | { store: string }
  | { committing: Amounts }
  | { acknowledged: Amounts }
  | { noting: number }
  | { noted: number }
  | { moving: number }
  | { moved: number }
  | { pruning: Pruned }

/** What a store was asked for, and what it has promised, up to some moment. */
export type Promised = ReturnType<typeof startPromised>

/** Collects marks in their order. */
export function startPromised() {
  const promised = {
    phase: 'migration' as Phase,
    /** The store's id (hex) once an opened outbox gave it. */
    store: null as string | null,
    /** Amounts after each commit that was asked for: between two of them, there must be nothing. */
    commits: [{ readings: 0, deadLetters: 0 }] as Amounts[],
    acknowledged: { readings: 0, deadLetters: 0 } as Amounts,
    /** Notes of the inbox. */
    notes: { asked: 0, promised: 0 },
    /** Where the range of the inbox goes on; 0 while there is none. */
    next: { asked: 0, promised: 0 },
    pruned: { readings: 0, deadLetters: 0, notesBefore: 1 } as Pruned,
    add(mark: Mark): void {
      if ('phase' in mark) promised.phase = mark.phase
      else if ('store' in mark) promised.store = mark.store
      else if ('committing' in mark) promised.commits.push(mark.committing)
      else if ('acknowledged' in mark) promised.acknowledged = mark.acknowledged
      else if ('noting' in mark) promised.notes.asked = mark.noting
      else if ('noted' in mark) promised.notes.promised = mark.noted
      else if ('moving' in mark) promised.next.asked = mark.moving
      else if ('moved' in mark) promised.next.promised = mark.moved
      else promised.pruned = mark.pruning
    },
    addLines(lines: string): void {
      for (const line of lines.split('\n')) if (line) promised.add(JSON.parse(line))
    },
  }
  return promised
}
