import type { Database } from 'better-sqlite3'
import type { ClockState } from '../../../config/event/sensor-reading.ts'
import { checksum } from '../file/checksum.ts'
import { DamagedFileError } from '../file/damage-mark.ts'

/** A message that could not become an event: why, where in it, and its bytes as they came. */
export type DeadLetter = {
  reason: string
  place: string
  topic: string
  payload: Uint8Array
  /** How far the moment at which it came can be trusted. */
  clock?: ClockState
}

/** A note as it is stored: what is not an event but must arrive. The body is JSON. */
export type NoteRow = { sequence: number; kind: string; at: number; crc: number; body: Buffer }

/** A note as it is forwarded. */
export type OutgoingNote = {
  sequence: number
  kind: string
  at: number
  /** The gateway that it is of, by its name then. */
  speaker?: string
  content: Record<string, unknown>
}

/** The most that one look at the notes gives, in notes and (one note more) in bytes. */
const READ_MAX_NOTES = 500
const READ_MAX_BYTES = 512 * 1024

/**
 * Reads the notes of a file from a number on, oldest first, a bounded number at a time. `lastGiven`
 * is the last number that was given out, null when nobody can say. Throws when a note cannot have
 * the number that it says, because with it others would be passed by.
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
        throw new DamagedFileError(`note ${sequence} is not in its place`)
      next = sequence + 1
      const { speaker, ...content } = noteContent(row) as Record<string, unknown>
      const isNamed = typeof speaker === 'string'
      notes.push({ sequence, kind, at, ...(isNamed && { speaker }), content })
      // A damaged row may have no body at all.
      bytes += row.body?.length ?? 0
      if (bytes > READ_MAX_BYTES) break
    }
    return notes
  }
}

/** What a note says, or a reason why it cannot be trusted. */
export function noteContent(row: NoteRow): Record<string, unknown> | { reason: string } {
  if (!isNoteIntact(row)) return { reason: 'note checksum differs' }
  return JSON.parse(row.body.toString())
}

/** Inserts a row as it is. */
export function prepareNoteInsert(db: Database) {
  return db.prepare<NoteRow>('INSERT INTO notes VALUES (@sequence, @kind, @at, @crc, @body)')
}

/** Gives a row that is there another body, inside the transaction that is open. */
export function prepareNoteUpdate(db: Database) {
  const update = db.prepare('UPDATE notes SET crc = @crc, body = @body WHERE sequence = @sequence')
  return (row: NoteRow) => update.run({ ...row, crc: noteChecksum(row) })
}

/** The notes of a writing connection: gapless numbers, going on from the last one in the file. */
export function createNoteLog(db: Database) {
  const insert = prepareNoteInsert(db)
  const transaction = db.transaction((work: () => void) => work())
  const newest = db.prepare('SELECT * FROM notes ORDER BY sequence DESC LIMIT 1').get() as
    | NoteRow
    | undefined
  if (newest && !isNoteIntact(newest))
    throw new DamagedFileError('which note was the last cannot be known')
  let last = newest?.sequence ?? 0
  let speaker = {}
  const add = (kind: string, at: number, content: object) => {
    const body = Buffer.from(JSON.stringify({ ...speaker, ...content }))
    const note = { sequence: last + 1, kind, at, body }
    insert.run({ ...note, crc: noteChecksum(note) })
    last = note.sequence
  }
  return {
    get last() {
      return last
    },
    /** The gateway that all notes from now on are of, unless they name another. */
    setGateway(gateway: string): void {
      speaker = { speaker: gateway }
    },
    /** Adds a note inside the transaction that is open. */
    add,
    addDeadLetter(at: number, { payload, ...rest }: DeadLetter): void {
      add('deadletter', at, { ...rest, payload: Buffer.from(payload).toString('base64') })
    },
    /**
     * Leaves out the numbers up to `sequence`: they were given out once, and what had them is gone.
     */
    skipNumbersTo(sequence: number): void {
      last = Math.max(last, sequence)
    },
    /** Does work in a transaction; when it fails, its notes' numbers are given out again. */
    transact(work: () => void): void {
      const mark = last
      try {
        transaction.immediate(work)
      } catch (error) {
        last = mark
        throw error
      }
    },
  }
}

export type NoteLog = ReturnType<typeof createNoteLog>

export function isNoteIntact(row: NoteRow): boolean {
  return noteChecksum(row) === row.crc
}

function noteChecksum({ sequence, kind, at, body }: Omit<NoteRow, 'crc'>): number {
  return checksum(JSON.stringify([sequence, kind, at]), body)
}
