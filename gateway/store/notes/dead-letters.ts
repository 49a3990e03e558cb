import type { Database } from 'better-sqlite3'
import { CLOCK_STATES, type ClockState } from '../../../config/event/sensor-reading.ts'
import { openReadOnly } from '../file/readonly-database.ts'
import { OUTBOX_APPLICATION_ID } from '../file/schema.ts'
import { DEAD_LETTER_BYTES_KEY } from './dead-letter-bound.ts'
import { type NoteRow, noteContent } from './note-log.ts'

const PAGE = 100

/**
 * What became of a dead letter: `uncertain` when a note behind it that tells so of some letter
 * cannot be read.
 */
export type DeadLetterState =
  | { state: 'open' | 'dropped' | 'uncertain' }
  | { state: 'retried'; sequence: number }

type Facts = { reason: string; place: string; topic: string; clock: ClockState }

/**
 * A dead letter as it was stored; without its bytes, of which there were `size`, when they were let
 * go at a bound; or (`damaged`) why it cannot be read.
 */
export type StoredDeadLetter = DeadLetterState & { number: number; at: number } & (
    | (Facts & { payload: Buffer })
    | (Facts & { payload: null; size: number; droppedAt: typeof DEAD_LETTER_BYTES_KEY })
    | { damaged: string }
  )

/**
 * The dead letters of an outbox, by the numbers of their notes. What became of each follows from
 * the notes behind it, so that it goes to the ledger with them and can never be undone.
 */
export function createDeadLetters(db: Database) {
  const page = db.prepare(
    `SELECT * FROM notes WHERE kind = 'deadletter' AND sequence >= ?
     ORDER BY sequence LIMIT ${PAGE}`,
  )
  const one = db.prepare("SELECT * FROM notes WHERE kind = 'deadletter' AND sequence = ?")
  const since = db.prepare(
    "SELECT * FROM notes WHERE sequence > ? AND kind IN ('retried', 'dropped') ORDER BY sequence",
  )
  const last = db.prepare('SELECT coalesce(max(sequence), 0) FROM notes').pluck()
  const settled = new Map<number, DeadLetterState>()
  let lookedUpTo = 0
  let uncertainUpTo = 0

  /** Reads the notes since the last look, so that one letter costs no scan of all of them. */
  const look = () => {
    const upTo = last.get() as number
    for (const row of since.iterate(lookedUpTo) as Iterable<NoteRow>) {
      const content = noteContent(row) as { deadletter?: unknown; sequence?: unknown }
      const { deadletter, sequence } = content
      if (typeof deadletter !== 'number') uncertainUpTo = row.sequence
      else if (row.kind === 'dropped') settled.set(deadletter, { state: 'dropped' })
      else settled.set(deadletter, { state: 'retried', sequence: Number(sequence) })
    }
    lookedUpTo = upTo
  }
  const letterOf = (row: NoteRow): StoredDeadLetter => {
    const { sequence: number, at } = row
    const open = { state: number < uncertainUpTo ? 'uncertain' : 'open' } as const
    const facts = { number, at, ...(settled.get(number) ?? open) }
    const content = noteContent(row) as Record<string, string | null>
    const { reason, place, topic, payload } = content
    if (payload === undefined) return { ...facts, damaged: String(reason) }
    const clock = CLOCK_STATES.find(known => known === content.clock) ?? 'UNSYNCED'
    const all = { ...facts, reason: reason!, place: place!, topic: topic!, clock }
    if (payload !== null) return { ...all, payload: Buffer.from(payload, 'base64') }
    return { ...all, payload, size: Number(content.size), droppedAt: DEAD_LETTER_BYTES_KEY }
  }

  return {
    /** The letter with this number, or null when no dead letter has it. */
    find(number: number): StoredDeadLetter | null {
      look()
      const row = one.get(number) as NoteRow | undefined
      return row ? letterOf(row) : null
    },
    /** All dead letters, oldest first, read a bounded number at a time. */
    *all(): Generator<StoredDeadLetter> {
      look()
      for (let from = 0; ; ) {
        const rows = page.all(from) as NoteRow[]
        for (const row of rows) yield letterOf(row)
        if (rows.length < PAGE) return
        from = rows.at(-1)!.sequence + 1
      }
    },
  }
}

/** Opens an outbox to look at its dead letters; null while there is none that can be read. */
export function openDeadLetters(file: string) {
  const db = openReadOnly(file, OUTBOX_APPLICATION_ID)
  const store = db?.prepare('SELECT id FROM store').pluck().get() as Buffer | undefined
  if (!db || !store) {
    db?.close()
    return null
  }
  return { store: store.toString('hex'), ...createDeadLetters(db), close: () => db.close() }
}
