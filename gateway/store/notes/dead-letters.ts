import type { Database } from 'better-sqlite3'
import { CLOCK_STATES, type ClockState } from '../../../config/event/sensor-reading.ts'
import { openReadOnly } from '../file/readonly-database.ts'
import { OUTBOX_APPLICATION_ID } from '../file/schema.ts'
import { DEAD_LETTER_BYTES_KEY } from './dead-letter-bound.ts'
import { deadLetterId } from './dead-letter-id.ts'
import type { UncheckedContent } from './note-kinds.ts'
import { type NoteRow, noteContent } from './note-log.ts'

const PAGE_ROWS = 100

/**
 * The state of a dead letter. The state is `uncertain` when a later `retried` or `dropped` note
 * cannot be read, because that note may name this dead letter.
 */
export type DeadLetterState =
  | { state: 'open' | 'dropped' | 'uncertain' }
  | { state: 'retried'; sequence: number }

type Facts = { reason: string; place: string; topic: string; clock: ClockState }

/**
 * `number` identifies the dead letter in its outbox, `id` everywhere. `run` is the epoch of the run
 * that stored the dead letter; null for dead letters of early versions.
 */
type DeadLetterFacts = { number: number; id: string; run: number | null; at: number }

/**
 * A dead letter as stored. When the payload was dropped at a bound, `payload` is null and `size` is
 * the payload's former size in bytes. When the note of the dead letter cannot be read, `damaged` is
 * the reason.
 */
export type StoredDeadLetter = DeadLetterState &
  DeadLetterFacts &
  (
    | (Facts & { payload: Buffer })
    | (Facts & { payload: null; size: number; droppedAt: typeof DEAD_LETTER_BYTES_KEY })
    | { damaged: string }
  )

/**
 * The dead letters of an outbox, by the numbers of their notes. The state of a dead letter is
 * derived from later notes. These notes are also sent to the ledger, so a state can never be
 * undone.
 */
export function createDeadLetters(db: Database) {
  const selectPage = db.prepare(
    `SELECT * FROM notes WHERE kind = 'deadletter' AND sequence >= ?
     ORDER BY sequence LIMIT ${PAGE_ROWS}`,
  )
  const selectOne = db.prepare("SELECT * FROM notes WHERE kind = 'deadletter' AND sequence = ?")
  const selectResolving = db.prepare(
    "SELECT * FROM notes WHERE sequence > ? AND kind IN ('retried', 'dropped') ORDER BY sequence",
  )
  const selectLast = db.prepare('SELECT coalesce(max(sequence), 0) FROM notes').pluck()
  const selectStore = db.prepare('SELECT id FROM store').pluck()
  let store: string | null = null
  const storeId = () => {
    store ??= (selectStore.get() as Buffer).toString('hex')
    return store
  }
  const resolved = new Map<number, DeadLetterState>()
  let resolvedUpTo = 0
  let uncertainUpTo = 0

  /**
   * Reads only the notes that were added since the last call, because a look-up must not scan all
   * notes.
   */
  const readResolvingNotes = () => {
    const upTo = selectLast.get() as number
    for (const row of selectResolving.iterate(resolvedUpTo) as Iterable<NoteRow>) {
      const { deadletter, sequence }: UncheckedContent<'retried'> = noteContent(row)
      if (typeof deadletter !== 'number') uncertainUpTo = row.sequence
      else if (row.kind === 'dropped') resolved.set(deadletter, { state: 'dropped' })
      else resolved.set(deadletter, { state: 'retried', sequence: Number(sequence) })
    }
    resolvedUpTo = upTo
  }
  const decode = (row: NoteRow): StoredDeadLetter => {
    const { sequence: number, at } = row
    const open = { state: number < uncertainUpTo ? 'uncertain' : 'open' } as const
    const body = noteContent(row)
    const run = typeof body.run === 'number' ? body.run : null
    const id = deadLetterId({ store: storeId(), run, number })
    const state = { number, id, run, at, ...(resolved.get(number) ?? open) }
    const content = body as Record<string, string | null>
    const { reason, place, topic, payload } = content
    if (payload === undefined) return { ...state, damaged: String(reason) }
    const clock = CLOCK_STATES.find(known => known === content.clock) ?? 'UNSYNCED'
    const facts = { ...state, reason: reason!, place: place!, topic: topic!, clock }
    if (payload !== null) return { ...facts, payload: Buffer.from(payload, 'base64') }
    return { ...facts, payload, size: Number(content.size), droppedAt: DEAD_LETTER_BYTES_KEY }
  }

  return {
    /** Returns the dead letter with this number; null when no dead letter has this number. */
    find(number: number): StoredDeadLetter | null {
      readResolvingNotes()
      const row = selectOne.get(number) as NoteRow | undefined
      return row ? decode(row) : null
    },
    /** Yields all dead letters, oldest first. One page of rows is in memory at a time. */
    *all(): Generator<StoredDeadLetter> {
      readResolvingNotes()
      for (let from = 0; ; ) {
        const rows = selectPage.all(from) as NoteRow[]
        for (const row of rows) yield decode(row)
        if (rows.length < PAGE_ROWS) return
        from = rows.at(-1)!.sequence + 1
      }
    },
  }
}

/** Opens the dead letters of an outbox for reading; null when there is no readable outbox. */
export function openDeadLetters(file: string) {
  const db = openReadOnly(file, OUTBOX_APPLICATION_ID)
  const store = db?.prepare('SELECT id FROM store').pluck().get() as Buffer | undefined
  if (!db || !store) {
    db?.close()
    return null
  }
  return { store: store.toString('hex'), ...createDeadLetters(db), close: () => db.close() }
}
