import { randomBytes, randomInt } from 'node:crypto'
import type { Database } from 'better-sqlite3'
import { bellFile, type Mark, readBell } from './bell.ts'
import { headsOf } from './heads.ts'
import type { Notes } from './notes.ts'

/** Who writes: the store, this run of its writer, and where its numbers go on. */
export type Epoch = { store: Buffer; gateway: string; epoch: number; lastSequence: number }

/**
 * Begins a new epoch in one transaction: draws its number, notes the epoch before with how far each
 * of its zones had come, and names as a hole what the bell says was once here and is not any more.
 * Numbers go on behind the bell, so none is given twice whatever file was restored.
 */
export function beginEpoch(db: Database, notes: Notes, gateway: string): Epoch {
  const epoch = randomInt(1, 2 ** 48 - 1)
  const begin = db.transaction((): Epoch => {
    const known = db.prepare('SELECT id, epoch FROM store').get() as
      | { id: Buffer; epoch: number }
      | undefined
    const store = known?.id ?? randomBytes(16)
    const stored = lastStored(db)
    const mark = readBell(bellFile(db.name))
    const rung = mark?.store.equals(store) ? mark : null
    const lastSequence = Math.max(stored, rung?.sequence ?? 0)
    const zones = known && headsOf(db, known.epoch)
    const previous = known ? { epoch: known.epoch, lastSequence: stored, zones } : null
    if (known) db.prepare('UPDATE store SET epoch = ?').run(epoch)
    else db.prepare('INSERT INTO store VALUES (?, ?, ?, ?)').run(store, gateway, Date.now(), epoch)
    const hole = rung && holeBehind(stored, notes.last, rung)
    // The bridge passes by what has the number of a note that it forwarded before.
    if (hole) notes.goOnBehind(rung.noteSequence)
    notes.add('epoch', Date.now(), { gateway, epoch, firstSequence: lastSequence + 1, previous })
    if (hole) {
      notes.add('hole', Date.now(), { ...hole, reason: 'the bell is ahead of what is stored' })
      db.prepare('UPDATE headsUpTo SET sequence = ?').run(lastSequence)
    }
    return { store, gateway, epoch, lastSequence }
  })
  return begin.immediate()
}

/** The last number given out as far as the file knows: of its last group, or of a hole behind it. */
function lastStored(db: Database): number {
  const group = db.prepare('SELECT sequence + count - 1 FROM groups ORDER BY sequence DESC LIMIT 1')
  const noted = db.prepare('SELECT sequence FROM headsUpTo').pluck().get() as number
  return Math.max((group.pluck().get() as number | undefined) ?? 0, noted)
}

/** What the bell tells of and the file does not have: events, notes or both; null for nothing. */
function holeBehind(stored: number, storedNotes: number, { epoch, sequence, noteSequence }: Mark) {
  const events = sequence > stored && { from: stored + 1, to: sequence }
  const notes = noteSequence > storedNotes && { from: storedNotes + 1, to: noteSequence }
  return events || notes ? { epoch, ...(events || {}), ...(notes && { notes }) } : null
}
