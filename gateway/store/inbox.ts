import { randomBytes } from 'node:crypto'
import type { Database } from 'better-sqlite3'
import { openNotes, startNoteReader } from './notes.ts'
import { openForWriting } from './open.ts'
import { INBOX_ID, inboxMigrations } from './schema.ts'

const INBOX = { key: 'inbox.file', applicationId: INBOX_ID, migrations: inboxMigrations }

/** What is still to be delivered: sequences from `next` on, up to `end` (null: open). */
export type Range = {
  id: number
  store: Buffer
  next: number
  end: number | null
  topic: string
  partitions: number
  zones: string | null
  reason: string
}

export type Inbox = ReturnType<typeof openInbox>

/**
 * Opens the inbox for its one writer, the bridge, creating it when there is none. Positions are
 * written at most once every `settleMs`, and when closed, because an fsync a batch wears the card
 * for nothing: what was settled since is sent again after a crash, under the same ids.
 * Throws CannotStart when another process writes, or the file cannot be opened or is not ours.
 */
export function openInbox({ file, settleMs }: { file: string; settleMs: number }) {
  const { db, lock } = openForWriting(file, INBOX)
  const notes = openNotes(db)
  const id = ownId(db)
  const selectRanges = db.prepare('SELECT * FROM ranges WHERE store = ? ORDER BY id')
  const insertRange = db.prepare(
    `INSERT INTO ranges (store, next, "end", topic, partitions, zones, reason)
     VALUES (@store, @next, @end, @topic, @partitions, @zones, @reason)`,
  )
  const turnRange = db.prepare('UPDATE ranges SET topic = ?, partitions = ? WHERE id = ?')
  const moveRange = db.prepare('UPDATE ranges SET next = ? WHERE id = ?')
  const selectNotes = db.prepare('SELECT next FROM notePositions WHERE store = ?').pluck()
  const moveNotes = db.prepare('INSERT OR REPLACE INTO notePositions VALUES (?, ?)')
  const unsaved = { ranges: new Map<number, number>(), notes: new Map<string, number>() }
  let timer: NodeJS.Timeout | undefined

  const save = db.transaction(() => {
    for (const [range, next] of unsaved.ranges) moveRange.run(next, range)
    for (const [store, next] of unsaved.notes) moveNotes.run(Buffer.from(store, 'hex'), next)
  })
  const flush = () => {
    clearTimeout(timer)
    timer = undefined
    if (unsaved.ranges.size + unsaved.notes.size === 0) return
    save.immediate()
    unsaved.ranges.clear()
    unsaved.notes.clear()
  }
  const saveSoon = () => {
    timer ??= setTimeout(() => {
      try {
        flush()
      } catch (error) {
        // A full disk: the positions stay in memory, and what they pass is sent twice at worst.
        if ((error as { code?: string }).code !== 'SQLITE_FULL') throw error
        saveSoon()
      }
    }, settleMs)
  }

  return {
    id,
    rangesOf(store: Buffer): Range[] {
      flush()
      return selectRanges.all(store) as Range[]
    },
    /** Adds a range durably; it gets its id. */
    addRange(range: Omit<Range, 'id'>): Range {
      const { lastInsertRowid } = insertRange.run(range)
      return { ...range, id: Number(lastInsertRowid) }
    },
    /** Sends a range to another topic, durably. */
    turnRange({ id, topic, partitions }: Range): void {
      turnRange.run(topic, partitions, id)
    },
    /** Takes a range away, durably: all of it is delivered. */
    removeRange(id: number): void {
      db.prepare('DELETE FROM ranges WHERE id = ?').run(id)
      unsaved.ranges.delete(id)
    },
    /** Moves a range on; durable within `settleMs` or at close. */
    moveRange(range: number, next: number): void {
      unsaved.ranges.set(range, next)
      saveSoon()
    },
    /** The number of the next note of a store (the outbox's, or this inbox's own) to forward. */
    nextNote: (store: Buffer) =>
      unsaved.notes.get(store.toString('hex')) ??
      (selectNotes.get(store) as number | undefined) ??
      1,
    moveNotes(store: Buffer, next: number): void {
      unsaved.notes.set(store.toString('hex'), next)
      saveSoon()
    },
    /** Writes notes durably, before any position passes what they tell of. */
    addNotes(all: { kind: string; content: object }[]): void {
      db.transaction(() => {
        for (const { kind, content } of all) notes.add(kind, Date.now(), content)
      }).immediate()
    },
    /** This inbox's own notes from a number on. */
    notesFrom: startNoteReader(db),
    close(): void {
      flush()
      db.close()
      lock.close()
    },
  }
}

function ownId(db: Database): Buffer {
  const known = db.prepare('SELECT id FROM store').pluck().get() as Buffer | undefined
  if (known) return known
  const id = randomBytes(16)
  db.prepare('INSERT INTO store VALUES (?)').run(id)
  return id
}
