import { randomBytes, randomInt } from 'node:crypto'
import type { Database } from 'better-sqlite3'
import { readInboxProgress } from './delivery/inbox-reader.ts'
import { loadReadMark, type ReadMark } from './delivery/read-mark.ts'
import { bellFile, readBell } from './file/bell.ts'
import { DamagedFileError } from './file/damage-mark.ts'
import { drawGatewayId } from './gateway-id.ts'
import { type GroupRow, isHeaderIntact } from './groups/group-codec.ts'
import type { Epoch } from './groups/numbering.ts'
import { readZoneHeads } from './groups/zone-heads.ts'
import { decodeNoteBody } from './notes/note-kinds.ts'
import type { NoteLog, NoteRow } from './notes/note-log.ts'
import { splitEpochEnd } from './notes/note-size.ts'

/**
 * Begins a new epoch in one transaction: assigns the epoch's number, and writes an `epoch` note
 * that names the previous epoch and its zone heads; `heads` notes before the `epoch` note name the
 * heads of very many zones. Sequences that the bell or the inbox name and that the outbox does not
 * store become a note of kind `hole`. New sequences start after the highest sequence that the
 * outbox, the bell or the inbox name. Thus no sequence is assigned twice, and none is below the
 * bridge's position, where the bridge would skip the event, even if one of the files was restored
 * from a backup. Without a configured id, the store keeps the id of its gateway, and a new store
 * gets a drawn id. Throws DamagedFileError when the store id, the epoch or the last sequence in the
 * file is damaged.
 */
export function beginEpoch(
  db: Database,
  notes: NoteLog,
  { gateway: configured, inboxFile }: Owner,
): Epoch {
  const begin = db.transaction((): Epoch => {
    const stored = readStoreRow(db)
    const epoch = readSalvageRun(db) ?? drawEpoch()
    // When only the outbox is missing, the bell still contains the store id. The new file then
    // continues the same store, with a gap.
    const store = stored?.id ?? readBell(bellFile(db.name))?.store ?? randomBytes(16)
    const gateway = configured ?? stored?.gateway ?? drawGatewayId(store)
    const storedSequence = lastStoredSequence(db)
    const seen = lastSeenElsewhere(db.name, store, inboxFile)
    const lastSequence = Math.max(storedSequence, seen.sequence)
    const previous = stored
      ? {
          epoch: stored.epoch,
          lastSequence: storedSequence,
          zones: readZoneHeads(db, stored.epoch),
        }
      : null
    notes.setWriter({ gateway, run: epoch })
    const isRenamed = stored !== undefined && stored.gateway !== gateway
    // The epoch note itself names the last part, unless the end belongs to another gateway's id.
    const ends = previous ? splitEpochEnd(previous) : []
    const before = isRenamed ? null : (ends.pop() ?? null)
    for (const content of ends) {
      notes.add({ kind: 'heads', content, gateway: stored!.gateway }, Date.now())
    }
    if (stored) db.prepare('UPDATE store SET gateway = ?, epoch = ?').run(gateway, epoch)
    else db.prepare('INSERT INTO store VALUES (?, ?, ?, ?)').run(store, gateway, Date.now(), epoch)
    const hole = holeAfter(storedSequence, notes.last, seen)
    if (hole) notes.skipNumbersTo(seen.noteSequence)
    const content = { epoch, firstSequence: lastSequence + 1, previous: before }
    notes.add({ kind: 'epoch', content }, Date.now())
    if (hole) {
      const reason = 'seen elsewhere, not stored'
      notes.add({ kind: 'hole', content: { epoch: stored?.epoch, ...hole, reason } }, Date.now())
      db.prepare('UPDATE headsUpTo SET sequence = ?').run(lastSequence)
    }
    return { store, gateway, epoch, lastSequence }
  })
  return begin.immediate()
}

/**
 * The configured id of the gateway that owns an outbox, null without a configured id, and the inbox
 * with the bridge's positions.
 */
export type Owner = { gateway: string | null; inboxFile: string }

/** Draws the number of a run. 48 random bits: no run gets the number of another run. */
export const drawEpoch = () => randomInt(1, 2 ** 48 - 1)

/**
 * Returns the epoch that a salvage drew for its notes when no run has begun since; null otherwise.
 * The run that begins now takes this epoch, so that the notes of the salvage are its own.
 */
function readSalvageRun(db: Database): number | null {
  const newest = db.prepare('SELECT * FROM notes ORDER BY sequence DESC LIMIT 1').get() as
    | NoteRow
    | undefined
  return newest?.kind === 'salvage' ? (decodeNoteBody(newest).run ?? null) : null
}

type StoreRow = { id: Buffer; gateway: string; epoch: number }

/**
 * Reads the id, gateway and last epoch of the store; undefined for a new file. Throws
 * DamagedFileError when the id or the epoch is damaged.
 */
function readStoreRow(db: Database): StoreRow | undefined {
  const row = db.prepare('SELECT id, gateway, epoch FROM store').get() as StoreRow | undefined
  if (row && (row.id?.length !== 16 || !Number.isSafeInteger(row.epoch)))
    throw new DamagedFileError(
      `the row of the table \`store\` is damaged: the id has ${row.id?.length ?? 0} bytes, expected ` +
        `16; the epoch is ${row.epoch}, expected a whole number`,
    )
  return row
}

/**
 * Returns the highest sequence that the file names: the last sequence of the last group, or of a
 * gap after that group. Throws DamagedFileError when that sequence is damaged, because with a guess
 * two events could get the same sequence.
 */
function lastStoredSequence(db: Database): number {
  const last = db.prepare('SELECT * FROM groups ORDER BY sequence DESC LIMIT 1').get() as
    | GroupRow
    | undefined
  const headsUpTo = db.prepare('SELECT sequence FROM headsUpTo').pluck().get()
  if ((last && !isHeaderIntact(last)) || !Number.isSafeInteger(headsUpTo))
    throw new DamagedFileError(
      'the last sequence is unknown: the last row of `groups` or the row of `headsUpTo` is damaged',
    )
  return Math.max(last ? last.sequence + last.count - 1 : 0, headsUpTo as number)
}

/**
 * Returns the highest event and note sequences of a store in the outbox's bell, the inbox and the
 * inbox's bell. These files stay as they are when only the outbox is restored from a backup.
 */
function lastSeenElsewhere(file: string, store: Buffer, inboxFile: string): ReadMark {
  const mark = readBell(bellFile(file))
  const ownMark = mark?.store.equals(store) ? mark : null
  const marks = [ownMark, readInboxProgress(inboxFile, store), loadReadMark(inboxFile, store)]
  return {
    sequence: Math.max(...marks.map(seen => seen?.sequence ?? 0)),
    noteSequence: Math.max(...marks.map(seen => seen?.noteSequence ?? 0)),
  }
}

/**
 * Returns the events and notes that another file names and that the outbox does not store; null
 * when there are none.
 */
function holeAfter(stored: number, storedNotes: number, { sequence, noteSequence }: ReadMark) {
  const events = sequence > stored && { from: stored + 1, to: sequence }
  const notes = noteSequence > storedNotes && { from: storedNotes + 1, to: noteSequence }
  return events || notes ? { ...(events || {}), ...(notes && { notes }) } : null
}
