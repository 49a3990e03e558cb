import type { OutgoingNote } from '../../../../gateway/store/notes/note-log.ts'

/**
 * What the workload is doing. What is written into a main file counts as checkpoint; no power is
 * cut under `older`, where the workload makes a file as an earlier program left it.
 */
export type WorkloadPhase =
  | 'creation'
  | 'open'
  | 'commit'
  | 'checkpoint'
  | 'prune'
  | 'drop'
  | 'older'
  | 'migration'
  | 'heal'
  | 'inbox'

/** How many of each kind, counted from 1 over the whole life of a store. */
export type CommitAmounts = { readings: number; deadLetters: number }

/** Where the bridge goes on in a store. */
export type BridgePosition = { next: number; nextNote: number }

/** What may be gone: events up to a number, and notes before one. */
export type Deletable = { readings: number; notesBefore: number }

/** What letting go came to: events that were delivered, events that were not, and notes. */
export type DeletionCounts = { pruned: number; dropped: number; notes: number }

/**
 * A line of the file `marks`, which stands in the recording between the writes it speaks of: what
 * is about to be asked of the store, and what the store has promised.
 */
export type Mark =
  | { phase: WorkloadPhase }
  | { store: string }
  | { committing: CommitAmounts }
  | { acknowledged: CommitAmounts }
  | { noting: number }
  | { noted: number }
  | { moving: BridgePosition; notes: OutgoingNote[] }
  | { moved: BridgePosition }
  | { lettingGo: Deletable }
  | { gone: DeletionCounts }
  | { versions: FileVersions }

/** The least version that each file must have. */
export type FileVersions = { outbox: number; inbox: number }

/** What a store was asked for, and what it has promised, up to some moment. */
export type StorePromises = ReturnType<typeof createStorePromises>

/** Collects marks in their order. */
export function createStorePromises() {
  const promised = {
    phase: 'creation' as WorkloadPhase,
    /** The store's id (hex) once an opened outbox gave it. */
    store: null as string | null,
    /** Amounts after each commit that was asked for: between two of them, there must be nothing. */
    commits: [{ readings: 0, deadLetters: 0 }] as CommitAmounts[],
    acknowledged: { readings: 0, deadLetters: 0 } as CommitAmounts,
    /** Notes of the inbox. */
    notes: { asked: 0, promised: 0 },
    /** Where the range of the inbox goes on, and the notes; 0 while there is none. */
    position: { asked: { next: 0, nextNote: 1 }, promised: { next: 0, nextNote: 1 } },
    /** Notes of the outbox that the bridge took before it moved on, by their numbers. */
    taken: new Map<number, OutgoingNote>(),
    letGo: { readings: 0, notesBefore: 1 } as Deletable,
    gone: { pruned: 0, dropped: 0, notes: 0 } as DeletionCounts,
    versions: { outbox: 0, inbox: 0 } as FileVersions,
    add(mark: Mark): void {
      if ('phase' in mark) promised.phase = mark.phase
      else if ('store' in mark) promised.store = mark.store
      else if ('committing' in mark) promised.commits.push(mark.committing)
      else if ('acknowledged' in mark) promised.acknowledged = mark.acknowledged
      else if ('noting' in mark) promised.notes.asked = mark.noting
      else if ('noted' in mark) promised.notes.promised = mark.noted
      else if ('moving' in mark) {
        promised.position.asked = mark.moving
        for (const note of mark.notes) promised.taken.set(note.sequence, note)
      } else if ('moved' in mark) promised.position.promised = mark.moved
      else if ('lettingGo' in mark) {
        for (const what of ['readings', 'notesBefore'] as const)
          promised.letGo[what] = Math.max(promised.letGo[what], mark.lettingGo[what])
      } else if ('versions' in mark) promised.versions = mark.versions
      else {
        for (const what of ['pruned', 'dropped', 'notes'] as const)
          promised.gone[what] += mark.gone[what]
      }
    },
    addLines(lines: string): void {
      for (const line of lines.split('\n')) if (line) promised.add(JSON.parse(line))
    },
  }
  return promised
}
