import type { Database } from 'better-sqlite3'
import type { Clock } from '../../config/events.ts'
import { checksum } from './checksum.ts'

/** A message that could not become an event: why, where in it, and its bytes as they came. */
export type DeadLetter = {
  reason: string
  place: string
  topic: string
  payload: Uint8Array
  /** How far the moment at which it came can be trusted. */
  clock?: Clock
}

/** A note as it is stored: what is not an event but must arrive. The body is JSON. */
export type NoteRow = { sequence: number; kind: string; at: number; crc: number; body: Buffer }

/** A note as it is forwarded. */
export type ReadNote = {
  sequence: number
  kind: string
  at: number
  content: Record<string, unknown>
}

/** The most that one look at the notes gives, in notes and (one note more) in bytes. */
const READ_MAX_NOTES = 500
const READ_MAX_BYTES = 512 * 1024

/** Reads the notes of a file from a number on, oldest first, a bounded number at a time. */
export function startNoteReader(db: Database) {
  const select = db.prepare('SELECT * FROM notes WHERE sequence >= ? ORDER BY sequence LIMIT ?')
  return (from: number): ReadNote[] => {
    const notes: ReadNote[] = []
    let bytes = 0
    for (const row of select.iterate(from, READ_MAX_NOTES) as Iterable<NoteRow>) {
      const { sequence, kind, at } = row
      notes.push({ sequence, kind, at, content: contentOf(row) })
      // A damaged row may have no body at all.
      bytes += row.body?.length ?? 0
      if (bytes > READ_MAX_BYTES) break
    }
    return notes
  }
}

/** What a note says, or a reason why it cannot be trusted. */
export function contentOf(row: NoteRow): Record<string, unknown> | { reason: string } {
  if (noteChecksum(row) !== row.crc) return { reason: 'note checksum differs' }
  return JSON.parse(row.body.toString())
}

/** The notes of a writing connection: gapless numbers, going on from the last one in the file. */
export function openNotes(db: Database) {
  const insert = db.prepare('INSERT INTO notes VALUES (@sequence, @kind, @at, @crc, @body)')
  let last = (db.prepare('SELECT max(sequence) FROM notes').pluck().get() as number | null) ?? 0
  const add = (kind: string, at: number, content: object) => {
    const note = { sequence: last + 1, kind, at, body: Buffer.from(JSON.stringify(content)) }
    insert.run({ ...note, crc: noteChecksum(note) })
    last = note.sequence
  }
  return {
    get last() {
      return last
    },
    /** Adds a note inside the transaction that is open. */
    add,
    addDeadLetter(at: number, { payload, ...rest }: DeadLetter): void {
      add('deadletter', at, { ...rest, payload: Buffer.from(payload).toString('base64') })
    },
    /**
     * Leaves out the numbers up to `sequence`: they were given out once, and what had them is gone.
     */
    goOnBehind(sequence: number): void {
      last = Math.max(last, sequence)
    },
    /** Takes back the numbers given out in a transaction that failed. */
    rewind(sequence: number): void {
      last = sequence
    },
  }
}

export type Notes = ReturnType<typeof openNotes>

function noteChecksum({ sequence, kind, at, body }: Omit<NoteRow, 'crc'>): number {
  return checksum(JSON.stringify([sequence, kind, at]), body)
}
