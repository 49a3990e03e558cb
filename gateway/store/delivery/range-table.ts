import type { Database } from 'better-sqlite3'
import type { Range, RangesEdit } from '../sequence/delivery-range.ts'

/** The table `ranges`; each write is inside the transaction that is open. */
export function createRangeTable(db: Database) {
  const select = db.prepare('SELECT * FROM ranges WHERE store = ? ORDER BY id')
  const insert = db.prepare(
    `INSERT INTO ranges (store, next, "end", topic, partitions, zones, reason)
     VALUES (@store, @next, @end, @topic, @partitions, @zones, @reason)`,
  )
  const change = db.prepare(
    `UPDATE ranges SET next = @next, "end" = @end, topic = @topic, partitions = @partitions,
     zones = @zones, reason = @reason WHERE id = @id`,
  )
  const remove = db.prepare('DELETE FROM ranges WHERE id = ?')
  const removeDone = db.prepare('DELETE FROM ranges WHERE next > "end"')
  const move = db.prepare('UPDATE ranges SET next = ? WHERE id = ?')
  return {
    of: (store: Buffer) => select.all(store) as Range[],
    /** Gives what was added with their ids. */
    edit({ added = [], changed = [], removed = [] }: RangesEdit): Range[] {
      for (const { id } of removed) remove.run(id)
      for (const range of changed) change.run(range)
      return added.map(range => ({ ...range, id: Number(insert.run(range).lastInsertRowid) }))
    },
    /** Moves ranges on, and removes those that are done. */
    move(nexts: Iterable<[id: number, next: number]>): void {
      for (const [id, next] of nexts) move.run(next, id)
      removeDone.run()
    },
  }
}
