import type { Database } from 'better-sqlite3'
import { checksum } from '../file/checksum.ts'

const RANGES = 'SELECT * FROM ranges ORDER BY id'
const NOTE_POSITIONS = 'SELECT * FROM notePositions ORDER BY store'

/** The stored value in an inbox whose positions were written before the checksum existed. */
const NO_CHECKSUM = -1

/**
 * One checksum over all positions of an inbox, in the table `seal`. Without the checksum, a flipped
 * bit in a position could make the bridge skip events without notice. Every write of a position
 * also writes the checksum.
 */
export function createPositionChecksum(db: Database) {
  const selectRanges = db.prepare(RANGES).raw()
  const selectNotePositions = db.prepare(NOTE_POSITIONS).raw()
  const selectStored = db.prepare('SELECT crc FROM seal').pluck()
  const remove = db.prepare('DELETE FROM seal')
  const insert = db.prepare('INSERT INTO seal VALUES (?)')
  const compute = () => checksum(JSON.stringify([selectRanges.all(), selectNotePositions.all()]))
  return {
    /** Stores the checksum of the current positions, inside the open transaction. */
    write(): void {
      remove.run()
      insert.run(compute())
    },
    /** Whether the positions match the stored checksum; true when no checksum was stored yet. */
    isIntact(): boolean {
      const stored = selectStored.get()
      return stored === NO_CHECKSUM || stored === compute()
    },
  }
}
