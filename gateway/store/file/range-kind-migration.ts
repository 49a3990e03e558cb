import type { Database } from 'better-sqlite3'
import { checksum } from './checksum.ts'
import { DamagedFileError } from './damage-mark.ts'

/**
 * Adds columns for values that were parts of the text `reason` up to inbox version 3: the kind of a
 * range and, for a deferred range, the number and the sequences of its `behind` note. From version
 * 4 on, `reason` is only read by people.
 */
const ADD_COLUMNS = `
  ALTER TABLE ranges ADD COLUMN kind TEXT NOT NULL DEFAULT 'live';
  ALTER TABLE ranges ADD COLUMN note INTEGER;
  ALTER TABLE ranges ADD COLUMN noteFrom INTEGER;
  ALTER TABLE ranges ADD COLUMN noteTo INTEGER`

/** The reason of a DamagedFileError for an inbox with a wrong position. */
export const POSITIONS_DAMAGED =
  'the positions in `ranges` and `notePositions` do not match their checksum in `seal`'

/** The value of `seal.crc` in an inbox whose positions have no checksum yet. */
const NO_CHECKSUM = -1

type OldRange = { id: number; reason: string }

/**
 * Migrates the inbox to version 4. Throws a DamagedFileError when the checksum over the positions
 * differs, because the migration writes a new checksum, which would hide the damage.
 */
export function addRangeKindColumns(db: Database): void {
  const stored = db.prepare('SELECT crc FROM seal').pluck().get()
  const hasChecksum = stored !== NO_CHECKSUM
  if (hasChecksum && stored !== positionChecksum(db)) {
    throw new DamagedFileError(POSITIONS_DAMAGED)
  }
  db.exec(ADD_COLUMNS)
  const update = db.prepare(
    `UPDATE ranges SET kind = @kind, note = @note, noteFrom = @noteFrom, noteTo = @noteTo
     WHERE id = @id`,
  )
  for (const { id, reason } of db.prepare('SELECT id, reason FROM ranges').all() as OldRange[]) {
    update.run({ id, kind: kindIn(reason), ...noteIn(reason) })
  }
  if (hasChecksum) db.prepare('UPDATE seal SET crc = ?').run(positionChecksum(db))
}

function positionChecksum(db: Database): number {
  const ranges = db.prepare('SELECT * FROM ranges ORDER BY id').raw().all()
  const notePositions = db.prepare('SELECT * FROM notePositions ORDER BY store').raw().all()
  return checksum(JSON.stringify([ranges, notePositions]))
}

function kindIn(reason: string): string {
  const [word] = reason.split(' ')
  if (reason.startsWith('replay ')) return 'replay'
  return word === 'backlog' || word === 'apart' ? word : 'live'
}

function noteIn(reason: string) {
  const [, note, from, to] = / since note (\d+) from (\d+) to (\d+|null)$/.exec(reason) ?? []
  if (note === undefined) return { note: null, noteFrom: null, noteTo: null }
  return { note: Number(note), noteFrom: Number(from), noteTo: to === 'null' ? null : Number(to) }
}
