import type { OutgoingNote } from '../../../../gateway/store/notes/note-log.ts'

/**
 * What the workload is doing. A write to a main database file counts as `checkpoint`. Power is
 * never cut in the phase `downgrade`, in which the workload writes a file of an earlier version.
 */
export type WorkloadPhase =
  | 'creation'
  | 'open'
  | 'commit'
  | 'checkpoint'
  | 'prune'
  | 'drop'
  | 'downgrade'
  | 'migration'
  | 'recovery'
  | 'inbox'

/** How many readings and dead letters a store has committed since its creation. */
export type CommitAmounts = { readings: number; deadLetters: number }

/** The position of the bridge in a store: its next event and its next note. */
export type BridgePosition = { next: number; nextNote: number }

/**
 * What may be deleted: events up to the sequence `readings`, and notes before the number
 * `notesBefore`.
 */
export type Deletable = { readings: number; notesBefore: number }

/** How much was deleted: delivered events, undelivered events, and notes. */
export type DeletionCounts = { pruned: number; dropped: number; notes: number }

/**
 * A line of the file `marks`. In the recording, each mark is between the writes to which it refers.
 * A mark names a request to the store just before the request is made, or a promise that the store
 * has given.
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
  | { deleting: Deletable }
  | { deleted: DeletionCounts }
  | { versions: FileVersions }

/** The lowest version that each file must have. */
export type FileVersions = { outbox: number; inbox: number }

/** The requests to a store and the promises of the store up to one moment. */
export type StorePromises = ReturnType<typeof createStorePromises>

/**
 * Creates an empty account of requests and promises. `add` must be called with the marks in order.
 */
export function createStorePromises() {
  const promises = {
    phase: 'creation' as WorkloadPhase,
    /** The store's id (hex) once an outbox was opened. */
    store: null as string | null,
    /**
     * The amounts after each requested commit. A reader must never see amounts between two entries.
     */
    commits: [{ readings: 0, deadLetters: 0 }] as CommitAmounts[],
    acknowledged: { readings: 0, deadLetters: 0 } as CommitAmounts,
    /** The number of the last note of the inbox. */
    notes: { requested: 0, promised: 0 },
    /** The bridge's position in the inbox; `next` is 0 while there is no range. */
    position: { requested: { next: 0, nextNote: 1 }, promised: { next: 0, nextNote: 1 } },
    /** Notes of the outbox, by number, that the bridge read before its position moved past them. */
    readNotes: new Map<number, OutgoingNote>(),
    deletable: { readings: 0, notesBefore: 1 } as Deletable,
    deleted: { pruned: 0, dropped: 0, notes: 0 } as DeletionCounts,
    versions: { outbox: 0, inbox: 0 } as FileVersions,
    add(mark: Mark): void {
      if ('phase' in mark) promises.phase = mark.phase
      else if ('store' in mark) promises.store = mark.store
      else if ('committing' in mark) promises.commits.push(mark.committing)
      else if ('acknowledged' in mark) promises.acknowledged = mark.acknowledged
      else if ('noting' in mark) promises.notes.requested = mark.noting
      else if ('noted' in mark) promises.notes.promised = mark.noted
      else if ('moving' in mark) {
        promises.position.requested = mark.moving
        for (const note of mark.notes) promises.readNotes.set(note.sequence, note)
      } else if ('moved' in mark) promises.position.promised = mark.moved
      else if ('deleting' in mark) {
        for (const limit of ['readings', 'notesBefore'] as const)
          promises.deletable[limit] = Math.max(promises.deletable[limit], mark.deleting[limit])
      } else if ('versions' in mark) promises.versions = mark.versions
      else {
        for (const kind of ['pruned', 'dropped', 'notes'] as const)
          promises.deleted[kind] += mark.deleted[kind]
      }
    },
    addLines(lines: string): void {
      for (const line of lines.split('\n')) if (line) promises.add(JSON.parse(line))
    },
  }
  return promises
}
