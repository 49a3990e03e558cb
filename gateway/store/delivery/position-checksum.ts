import type { Database } from 'better-sqlite3'
import { checksum } from '../file/checksum.ts'

const RANGES = 'SELECT * FROM ranges ORDER BY id'
const NOTE_POSITIONS = 'SELECT * FROM notePositions ORDER BY store'

/** Stands in an inbox whose positions were written before there was a seal. */
const UNSEALED = -1

/**
 * The one checksum over all positions of an inbox, because a flipped bit in one of them would have
 * the bridge pass by events in silence. Whatever writes positions writes it, too.
 */
export function createPositionChecksum(db: Database) {
  const ranges = db.prepare(RANGES).raw()
  const notePositions = db.prepare(NOTE_POSITIONS).raw()
  const select = db.prepare('SELECT crc FROM seal').pluck()
  const remove = db.prepare('DELETE FROM seal')
  const insert = db.prepare('INSERT INTO seal VALUES (?)')
  const sum = () => checksum(JSON.stringify([ranges.all(), notePositions.all()]))
  return {
    /** Writes it inside the transaction that is open. */
    write(): void {
      remove.run()
      insert.run(sum())
    },
    /** Whether the positions are those that were written. */
    isIntact(): boolean {
      const sealed = select.get()
      return sealed === UNSEALED || sealed === sum()
    },
  }
}
