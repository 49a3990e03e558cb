import { randomBytes, randomInt } from 'node:crypto'
import type { Database } from 'better-sqlite3'
import { bellFile, readBell } from './bell.ts'
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
    const stored = db
      .prepare('SELECT sequence + count - 1 FROM groups ORDER BY sequence DESC LIMIT 1')
      .pluck()
      .get() as number | undefined
    const mark = readBell(bellFile(db.name))
    const rung = mark?.store.equals(store) ? mark.sequence : 0
    const lastSequence = Math.max(stored ?? 0, rung)
    const zones = known && headsOf(db, known.epoch)
    const previous = known ? { epoch: known.epoch, lastSequence: stored ?? 0, zones } : null
    if (known) db.prepare('UPDATE store SET epoch = ?').run(epoch)
    else db.prepare('INSERT INTO store VALUES (?, ?, ?, ?)').run(store, gateway, Date.now(), epoch)
    notes.add('epoch', Date.now(), { gateway, epoch, firstSequence: lastSequence + 1, previous })
    if (rung > (stored ?? 0)) {
      const hole = { epoch: mark!.epoch, from: (stored ?? 0) + 1, to: rung }
      notes.add('hole', Date.now(), { ...hole, reason: 'the bell is ahead of the last group' })
    }
    return { store, gateway, epoch, lastSequence }
  })
  return begin.immediate()
}
