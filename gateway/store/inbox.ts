import { randomBytes } from 'node:crypto'
import { basename } from 'node:path'
import type { Database } from 'better-sqlite3'
import { createPositions } from './delivery/positions.ts'
import { openReadMark } from './delivery/read-mark.ts'
import { isDiskFull } from './file/ballast.ts'
import { withDamageMarking } from './file/damage-mark.ts'
import { INBOX_APPLICATION_ID, inboxMigrations } from './file/schema.ts'
import { createNoteLog, createNoteReader, prepareNoteInsert } from './notes/note-log.ts'
import type { StoreKind } from './recovery/recovery.ts'
import { openSalvage } from './recovery/salvage.ts'
import { openForWriting } from './recovery/writable-database.ts'
import { copySchemaIds, createSchemaIds } from './schema-ids.ts'
import type { Range, RangesEdit } from './sequence/delivery-range.ts'

const INBOX: StoreKind = {
  key: 'inbox.file',
  applicationId: INBOX_APPLICATION_ID,
  migrations: inboxMigrations,
  isKnown: () => false,
  findFault: () => null,
  // Its positions cannot be trusted, so none is taken over: what is in the outbox is delivered
  // again, under the same ids. Notes are, because some tell what was lost, and the numbers of
  // schemas, because the registry may be away.
  refill(db, { file, reason, aside, atMs }) {
    ownId(db)
    const salvage = openSalvage(file)
    const insert = prepareNoteInsert(db)
    let count = 0
    for (const { row } of salvage.notes()) count += insert.run(row).changes
    salvage.close()
    copySchemaIds(db, file)
    createNoteLog(db).add('quarantine', atMs, { what: 'inbox', reason, file: basename(aside) })
    return { notes: count }
  },
}

export type { Range, RangesEdit }

export type Inbox = ReturnType<typeof openInbox>

/**
 * Opens the inbox for its one writer, the bridge, creating it when there is none. Positions are
 * written at most once every `settleMs`, and when closed, because an fsync a batch wears the card
 * for nothing: what was settled since is sent again after a crash, under the same ids.
 * A damaged file is moved aside and a new one begun; one that shows its damage later is marked, so
 * that this happens at the next start. Throws CannotStart when another process writes, or the file
 * cannot be opened or is not ours.
 */
export function openInbox({ file, settleMs }: { file: string; settleMs: number }) {
  const { db, lock, recovery, parts } = openForWriting(file, INBOX, db => ({
    notes: createNoteLog(db),
    id: ownId(db),
    positions: createPositions(db, settleMs),
    schemaIds: createSchemaIds(db),
  }))
  const { notes, id, positions, schemaIds } = parts
  const { advance: recordRead, close: closeTaken } = openReadMark(file)

  return withDamageMarking(file, {
    id,
    /** What had to be done to open it, null for nothing. */
    recovery: recovery,
    ...positions,
    ...schemaIds,
    recordRead: recordRead,
    /** Writes notes durably, before any position passes what they tell of. */
    addNotes(all: { kind: string; content: object }[]): void {
      notes.transact(() => {
        for (const { kind, content } of all) notes.add(kind, Date.now(), content)
      })
    },
    /**
     * Changes the ranges and writes what must be known of it, in one transaction; `make` gets what
     * writes a note and gives its number. Gives the change, what was added with ids.
     */
    editRanges(make: (note: (kind: string, content: object) => number) => RangesEdit) {
      let edit: RangesEdit = {}
      let added: Range[] = []
      notes.transact(() => {
        edit = make((kind, content) => {
          notes.add(kind, Date.now(), content)
          return notes.last
        })
        added = positions.edit(edit)
      })
      return { ...edit, added }
    },
    /** This inbox's own notes from a number on. */
    notesFrom: createNoteReader(db, () => notes.last),
    close(): void {
      try {
        positions.flush()
      } catch (error) {
        // What could not be written is sent again, under the same ids.
        if (!isDiskFull(error)) throw error
      } finally {
        db.close()
        closeTaken()
        lock.close()
      }
    },
  })
}

function ownId(db: Database): Buffer {
  const known = db.prepare('SELECT id FROM store').pluck().get() as Buffer | undefined
  if (known) return known
  const id = randomBytes(16)
  db.prepare('INSERT INTO store VALUES (?)').run(id)
  return id
}
