import type { Database } from 'better-sqlite3'
import type { Range, RangesEdit, SequenceRange } from '../sequence/delivery-range.ts'

/** The inbox version that introduced the column `kind`. */
const KIND_SINCE_VERSION = 4

type RangeRow = Omit<Range, 'deferral'> & {
  note: number | null
  noteFrom: number | null
  noteTo: number | null
}

/**
 * Reads and writes the table `ranges` of the inbox. Call the writing functions inside an open
 * transaction.
 */
export function createRangeTable(db: Database) {
  const select = db.prepare('SELECT * FROM ranges WHERE store = ? ORDER BY id')
  const insert = db.prepare(
    `INSERT INTO ranges
       (store, next, "end", topic, partitions, zones, reason, kind, note, noteFrom, noteTo)
     VALUES (@store, @next, @end, @topic, @partitions, @zones, @reason, @kind, @note, @noteFrom,
       @noteTo)`,
  )
  const update = db.prepare(
    `UPDATE ranges SET next = @next, "end" = @end, topic = @topic, partitions = @partitions,
     zones = @zones, reason = @reason, kind = @kind, note = @note, noteFrom = @noteFrom,
     noteTo = @noteTo WHERE id = @id`,
  )
  const remove = db.prepare('DELETE FROM ranges WHERE id = ?')
  const removeDone = db.prepare('DELETE FROM ranges WHERE next > "end"')
  const updateNext = db.prepare('UPDATE ranges SET next = ? WHERE id = ?')
  return {
    rangesOf: (store: Buffer) => (select.all(store) as RangeRow[]).map(fromRow),
    /** Makes the changes of `edit`; returns the added ranges with their ids. */
    edit({ added = [], changed = [], removed = [] }: RangesEdit): Range[] {
      for (const { id } of removed) remove.run(id)
      for (const range of changed) update.run(toRow(range))
      return added.map(range => ({
        ...range,
        id: Number(insert.run(toRow(range)).lastInsertRowid),
      }))
    },
    /** Writes the positions of ranges, then removes all ranges that are done. */
    move(positions: Iterable<[id: number, next: number]>): void {
      for (const [id, next] of positions) updateNext.run(next, id)
      removeDone.run()
    },
  }
}

function fromRow({ note, noteFrom, noteTo, ...range }: RangeRow): Range {
  if (note === null || noteFrom === null) return range
  return { ...range, deferral: { note, from: noteFrom, to: noteTo } }
}

function toRow({ deferral, ...range }: Omit<Range, 'id'>) {
  const { note = null, from: noteFrom = null, to: noteTo = null } = deferral ?? {}
  return { ...range, note, noteFrom, noteTo }
}

/** The fields of a range that the gateway reads. */
export type ReadRange = SequenceRange & { partitions: number; isReplay: boolean }

/** Reads the ranges of a store, also from an inbox that the bridge has not migrated yet. */
export function readRanges(db: Database, store: Buffer): ReadRange[] {
  const version = db.pragma('user_version', { simple: true }) as number
  const isReplay =
    version >= KIND_SINCE_VERSION ? "kind = 'replay'" : "substr(reason, 1, 7) = 'replay '"
  const query = `SELECT next, "end", partitions, ${isReplay} AS isReplay
    FROM ranges WHERE store = ?`
  const rows = db.prepare(query).all(store) as (Omit<ReadRange, 'isReplay'> & { isReplay: 0 | 1 })[]
  return rows.map(row => ({ ...row, isReplay: row.isReplay === 1 }))
}
