import type { Database } from 'better-sqlite3'
import type { Range, RangesEdit } from '../sequence/delivery-range.ts'

/** The table `ranges` of the inbox; all writes happen inside the open transaction. */
export function createRangeTable(db: Database) {
  const select = db.prepare('SELECT * FROM ranges WHERE store = ? ORDER BY id')
  const insert = db.prepare(
    `INSERT INTO ranges (store, next, "end", topic, partitions, zones, reason)
     VALUES (@store, @next, @end, @topic, @partitions, @zones, @reason)`,
  )
  const update = db.prepare(
    `UPDATE ranges SET next = @next, "end" = @end, topic = @topic, partitions = @partitions,
     zones = @zones, reason = @reason WHERE id = @id`,
  )
  const remove = db.prepare('DELETE FROM ranges WHERE id = ?')
  const removeDone = db.prepare('DELETE FROM ranges WHERE next > "end"')
  const updateNext = db.prepare('UPDATE ranges SET next = ? WHERE id = ?')
  return {
    rangesOf: (store: Buffer) => select.all(store) as Range[],
    /** Returns the added ranges with their ids. */
    edit({ added = [], changed = [], removed = [] }: RangesEdit): Range[] {
      for (const { id } of removed) remove.run(id)
      for (const range of changed) update.run(range)
      return added.map(range => ({ ...range, id: Number(insert.run(range).lastInsertRowid) }))
    },
    /** Writes the positions of ranges, then removes all ranges that are done. */
    move(positions: Iterable<[id: number, next: number]>): void {
      for (const [id, next] of positions) updateNext.run(next, id)
      removeDone.run()
    },
  }
}
