import { randomBytes } from 'node:crypto'
import { basename } from 'node:path'
import type { Database } from 'better-sqlite3'
import { createPositions } from './delivery/positions.ts'
import { openReadMark } from './delivery/read-mark.ts'
import { isDiskFull } from './file/ballast.ts'
import { withDamageMarking } from './file/damage-mark.ts'
import { INBOX_APPLICATION_ID, inboxMigrations } from './file/schema.ts'
import { type Note, type NoteWriter, UNKNOWN_WRITER } from './notes/note-kinds.ts'
import { createNoteLog, createNoteReader, prepareNoteInsert } from './notes/note-log.ts'
import type { StoreKind } from './recovery/recovery.ts'
import { openSalvage } from './recovery/salvage.ts'
import { createFilesCheck, openForWriting } from './recovery/writable-database.ts'
import { copySchemaIds, createSchemaIds } from './schema-ids.ts'
import type { Range, RangesEdit } from './sequence/delivery-range.ts'

const INBOX: StoreKind = {
  key: 'inbox.file',
  applicationId: INBOX_APPLICATION_ID,
  migrations: inboxMigrations,
  isKnown: () => false,
  findFault: () => null,
  // Positions of a damaged inbox cannot be trusted, so they are not copied. The bridge then
  // delivers all events of the outbox again, under the same ids. Notes are copied, because some
  // notes name lost events. Schema ids are copied, because the registry may be unreachable.
  refill(db, { file, reason, aside, atMs }) {
    readOrCreateId(db)
    const salvage = openSalvage(file)
    const insert = prepareNoteInsert(db)
    let count = 0
    for (const { row } of salvage.notes()) count += insert.run(row).changes
    salvage.close()
    copySchemaIds(db, file)
    const content = { what: 'inbox', reason, file: basename(aside) } as const
    createNoteLog(db).add({ kind: 'quarantine', content }, atMs)
    return { notes: count }
  },
}

export type { Range, RangesEdit }

export type Inbox = ReturnType<typeof openInbox>

/**
 * Opens the inbox for its one writer, the bridge; creates the inbox when there is none. Positions
 * are written at most once every `settleMs`, and at close, because an fsync for each batch would
 * wear out the SD card. After a crash the bridge sends the batches since the last write again,
 * under the same ids. A damaged file is set aside and replaced by a new file. A file in which
 * damage is found later is marked, and the next start replaces it. Throws CannotStart when another
 * process writes the file, when the file cannot be opened, or when the file is not an inbox.
 */
export function openInbox({ file, settleMs }: { file: string; settleMs: number }) {
  const { db, lock, recovery, parts } = openForWriting(file, INBOX, db => ({
    notes: createNoteLog(db),
    id: readOrCreateId(db),
    positions: createPositions(db, settleMs),
    schemaIds: createSchemaIds(db),
  }))
  const { notes, id, positions, schemaIds } = parts
  let currentWriter: () => NoteWriter = () => UNKNOWN_WRITER
  const { advance: recordRead, close: closeReadMark } = openReadMark(file)

  return withDamageMarking(file, {
    id,
    /** Reports what was recovered when the inbox was opened; null when the file was not damaged. */
    recovery,
    ...positions,
    ...schemaIds,
    recordRead,
    /** Throws ReplacedFileError when a file of the inbox is no longer at its path. */
    checkFiles: createFilesCheck(file),
    /**
     * Sets the function that returns the gateway and the epoch of the outbox that the bridge reads.
     * Later notes name both, because the gateway may be renamed before the notes are delivered.
     */
    setWriterReader(readWriter: () => NoteWriter): void {
      currentWriter = readWriter
    },
    /**
     * Writes notes durably. Call this before a position moves past the events that the notes name.
     */
    addNotes(added: Note[]): void {
      notes.setWriter(currentWriter())
      notes.transact(() => {
        for (const note of added) notes.add(note, Date.now())
      })
    },
    /**
     * Changes the ranges and writes notes about the change in one transaction. `makeEdit` is called
     * with a function that writes a note and returns the note's sequence. Returns the change, in
     * which the added ranges have their ids.
     */
    editRanges(makeEdit: (addNote: (note: Note) => number) => RangesEdit) {
      let edit: RangesEdit = {}
      let added: Range[] = []
      notes.setWriter(currentWriter())
      notes.transact(() => {
        edit = makeEdit(note => notes.add(note, Date.now()))
        added = positions.edit(edit)
      })
      return { ...edit, added }
    },
    /** Reads the notes that the bridge itself wrote, from a note sequence on. */
    notesFrom: createNoteReader(db, () => notes.last),
    close(): void {
      try {
        positions.flush()
      } catch (error) {
        // On a full disk the last positions are lost. After the next start the bridge sends the
        // events after the written positions again, under the same ids.
        if (!isDiskFull(error)) throw error
      } finally {
        db.close()
        closeReadMark()
        lock.close()
      }
    },
  })
}

/** Returns the inbox's own id: 16 random bytes that are chosen when the file is created. */
function readOrCreateId(db: Database): Buffer {
  const storedId = db.prepare('SELECT id FROM store').pluck().get() as Buffer | undefined
  if (storedId) return storedId
  const id = randomBytes(16)
  db.prepare('INSERT INTO store VALUES (?)').run(id)
  return id
}
