import { randomBytes, randomInt } from 'node:crypto'
import type { Database } from 'better-sqlite3'
import { readInboxProgress } from './delivery/inbox-reader.ts'
import { loadReadMark, type ReadMark } from './delivery/read-mark.ts'
import { bellFile, readBell } from './file/bell.ts'
import { DamagedFileError } from './file/damage-mark.ts'
import { type GroupRow, isHeaderIntact } from './groups/group-codec.ts'
import type { Epoch } from './groups/numbering.ts'
import { readZoneHeads } from './groups/zone-heads.ts'
import type { NoteLog } from './notes/note-log.ts'

/**
 * Begins a new epoch in one transaction: draws its number, notes the epoch before with how far each
 * of its zones had come, and names as a hole what bell or inbox say was once here and is not any
 * more. Numbers go on behind all of them: none is given twice, and none is below what the bridge
 * has delivered and would pass by, whichever file was restored.
 */
export function beginEpoch(
  db: Database,
  notes: NoteLog,
  { gateway, inboxFile }: { gateway: string; inboxFile: string },
): Epoch {
  const epoch = randomInt(1, 2 ** 48 - 1)
  const begin = db.transaction((): Epoch => {
    const known = db.prepare('SELECT id, gateway, epoch FROM store').get() as
      | { id: Buffer; gateway: string; epoch: number }
      | undefined
    if (known && (known.id?.length !== 16 || !Number.isSafeInteger(known.epoch)))
      throw new DamagedFileError('whose store it is cannot be known')
    // A file that is gone, and not its bell, is the same store with a hole.
    const store = known?.id ?? readBell(bellFile(db.name))?.store ?? randomBytes(16)
    const stored = lastStored(db)
    const seen = seenElsewhere(db.name, store, inboxFile)
    const lastSequence = Math.max(stored, seen.sequence)
    const zones = known && readZoneHeads(db, known.epoch)
    const previous = known ? { epoch: known.epoch, lastSequence: stored, zones } : null
    const isRenamed = known !== undefined && known.gateway !== gateway
    if (isRenamed) notes.add('heads', Date.now(), { speaker: known.gateway, ...previous })
    if (known) db.prepare('UPDATE store SET gateway = ?, epoch = ?').run(gateway, epoch)
    else db.prepare('INSERT INTO store VALUES (?, ?, ?, ?)').run(store, gateway, Date.now(), epoch)
    const hole = holeBehind(stored, notes.last, seen)
    if (hole) notes.skipNumbersTo(seen.noteSequence)
    notes.setGateway(gateway)
    const before = isRenamed ? null : previous
    notes.add('epoch', Date.now(), { epoch, firstSequence: lastSequence + 1, previous: before })
    if (hole) {
      notes.add('hole', Date.now(), {
        epoch: known?.epoch,
        ...hole,
        reason: 'seen elsewhere, not stored',
      })
      db.prepare('UPDATE headsUpTo SET sequence = ?').run(lastSequence)
    }
    return { store, gateway, epoch, lastSequence }
  })
  return begin.immediate()
}

/**
 * The last number given out as far as the file knows: of its last group, or of a hole behind it.
 * Throws when it cannot be known, because numbers would go on anywhere.
 */
function lastStored(db: Database): number {
  const last = db.prepare('SELECT * FROM groups ORDER BY sequence DESC LIMIT 1').get() as
    | GroupRow
    | undefined
  const noted = db.prepare('SELECT sequence FROM headsUpTo').pluck().get()
  if ((last && !isHeaderIntact(last)) || !Number.isSafeInteger(noted))
    throw new DamagedFileError('which number was the last cannot be known')
  return Math.max(last ? last.sequence + last.count - 1 : 0, noted as number)
}

/** The furthest that bells and inbox, which outlive a restored outbox, have seen of a store. */
function seenElsewhere(file: string, store: Buffer, inboxFile: string): ReadMark {
  const mark = readBell(bellFile(file))
  const rung = mark?.store.equals(store) ? mark : null
  const all = [rung, readInboxProgress(inboxFile, store), loadReadMark(inboxFile, store)]
  return {
    sequence: Math.max(...all.map(seen => seen?.sequence ?? 0)),
    noteSequence: Math.max(...all.map(seen => seen?.noteSequence ?? 0)),
  }
}

/** What was seen and the file does not have: events, notes or both; null for nothing. */
function holeBehind(stored: number, storedNotes: number, { sequence, noteSequence }: ReadMark) {
  const events = sequence > stored && { from: stored + 1, to: sequence }
  const notes = noteSequence > storedNotes && { from: storedNotes + 1, to: noteSequence }
  return events || notes ? { ...(events || {}), ...(notes && { notes }) } : null
}
