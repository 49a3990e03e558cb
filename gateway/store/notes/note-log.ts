import type { Database } from 'better-sqlite3'
import type { ClockState } from '../../../config/event/sensor-reading.ts'
import { checksum } from '../file/checksum.ts'
import { DamagedFileError } from '../file/damage-mark.ts'
import {
  encodeNoteBody,
  type Note,
  type NoteWriter,
  splitNoteBody,
  UNKNOWN_WRITER,
} from './note-kinds.ts'
import { limitZones } from './note-size.ts'

/**
 * A message that could not become an event: the reason, the place of the fault within the message,
 * and the original bytes.
 */
export type DeadLetter = {
  reason: string
  place: string
  topic: string
  payload: Uint8Array
  /** The state of the gateway's clock when the message was received. */
  clock?: ClockState
}

/** A note as stored. The body is JSON; `at` is ms since 1970. */
export type NoteRow = { sequence: number; kind: string; at: number; crc: number; body: Buffer }

/** A note as the bridge forwards it. */
export type OutgoingNote = {
  sequence: number
  kind: string
  at: number
  /** The gateway's id when the note was written; JSON field `speaker`. */
  gateway?: string
  /** The epoch of the run that wrote the note; notes of early versions lack it. */
  run?: number
  content: Record<string, unknown>
}

/**
 * One read returns at most this many notes, and stops at the note with which it exceeds this many
 * bytes.
 */
const READ_MAX_NOTES = 500
const READ_MAX_BYTES = 512 * 1024

/**
 * Creates a function that reads notes from a number on, oldest first, in bounded batches.
 * `lastGiven` returns the last number that was assigned to a note; null when it is unknown. Throws
 * a DamagedFileError when the number of a damaged note must be wrong, because forwarding the note
 * under that number would skip other notes.
 */
export function createNoteReader(db: Database, lastGiven: () => number | null) {
  const select = db.prepare('SELECT * FROM notes WHERE sequence >= ? ORDER BY sequence LIMIT ?')
  return (from: number): OutgoingNote[] => {
    const notes: OutgoingNote[] = []
    let [bytes, next] = [0, from]
    for (const row of select.iterate(from, READ_MAX_NOTES) as Iterable<NoteRow>) {
      const { sequence, kind, at } = row
      const isGiven = isNoteIntact(row) || sequence <= (lastGiven() ?? sequence)
      if (!isGiven || sequence < next)
        throw new DamagedFileError(
          `note ${sequence} has a damaged number: it follows note ${next - 1}, and the last ` +
            `assigned number is ${lastGiven() ?? 'unknown'}`,
        )
      next = sequence + 1
      notes.push({ sequence, kind, at, ...splitNoteBody(noteContent(row)) })
      // A damaged row may have no body at all.
      bytes += row.body?.length ?? 0
      if (bytes > READ_MAX_BYTES) break
    }
    return notes
  }
}

/**
 * Returns the fields of a note's body. For a damaged note, returns only a `reason` why the note
 * cannot be trusted.
 */
export function noteContent(row: NoteRow): Record<string, unknown> {
  if (!isNoteIntact(row)) return { reason: 'note checksum differs' }
  return JSON.parse(row.body.toString())
}

/** Inserts a row unchanged, checksum included. */
export function prepareNoteInsert(db: Database) {
  return db.prepare<NoteRow>('INSERT INTO notes VALUES (@sequence, @kind, @at, @crc, @body)')
}

/** Replaces the body of a stored note, inside the open transaction. */
export function prepareNoteUpdate(db: Database) {
  const update = db.prepare('UPDATE notes SET crc = @crc, body = @body WHERE sequence = @sequence')
  return (row: NoteRow) => update.run({ ...row, crc: noteChecksum(row) })
}

/**
 * Adds notes to a file. The notes' numbers have no gaps and continue after the newest note in the
 * file. Throws a DamagedFileError when the newest note is damaged.
 */
export function createNoteLog(db: Database) {
  const insert = prepareNoteInsert(db)
  const transaction = db.transaction((work: () => void) => work())
  const newest = db.prepare('SELECT * FROM notes ORDER BY sequence DESC LIMIT 1').get() as
    | NoteRow
    | undefined
  if (newest && !isNoteIntact(newest))
    throw new DamagedFileError('the newest note is damaged, so the last note number is unknown')
  let last = newest?.sequence ?? 0
  let writer = UNKNOWN_WRITER
  const add = (added: Note, at: number): number => {
    const note = { ...added, content: limitZones(added.content) } as Note
    const row = { sequence: last + 1, kind: note.kind, at, body: encodeNoteBody(note, writer) }
    insert.run({ ...row, crc: noteChecksum(row) })
    last = row.sequence
    return last
  }
  return {
    /** The number of the newest note; 0 when there is none. */
    get last() {
      return last
    },
    /** Sets the gateway and run that are written into all later notes that name no others. */
    setWriter(current: NoteWriter): void {
      writer = current
    },
    /** Adds a note inside the open transaction; `at` is ms since 1970. Returns its number. */
    add,
    addDeadLetter(at: number, { payload, ...rest }: DeadLetter): void {
      const content = { ...rest, payload: Buffer.from(payload).toString('base64') }
      add({ kind: 'deadletter', content }, at)
    },
    /** Skips the numbers up to `sequence`, because they belonged to notes that are lost. */
    skipNumbersTo(sequence: number): void {
      last = Math.max(last, sequence)
    },
    /**
     * Runs `work` in a transaction. When the transaction fails, its note numbers are used again.
     */
    transact(work: () => void): void {
      const lastBefore = last
      try {
        transaction.immediate(work)
      } catch (error) {
        last = lastBefore
        throw error
      }
    },
  }
}

export type NoteLog = ReturnType<typeof createNoteLog>

/** Whether a note's checksum matches its number, kind, time and body. */
export function isNoteIntact(row: NoteRow): boolean {
  return noteChecksum(row) === row.crc
}

function noteChecksum({ sequence, kind, at, body }: Omit<NoteRow, 'crc'>): number {
  return checksum(JSON.stringify([sequence, kind, at]), body)
}
