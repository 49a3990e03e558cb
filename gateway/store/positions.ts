import type { Database } from 'better-sqlite3'
import { isDiskFull } from './ballast.ts'
import { markingDamage, Unsound } from './damage.ts'
import { openSeal } from './seal.ts'

/** What is still to be delivered: sequences from `next` on, up to `end` (null: open). */
export type Range = {
  id: number
  store: Buffer
  next: number
  end: number | null
  topic: string
  partitions: number
  zones: string | null
  reason: string
}

/** Whether all of a range is delivered. An open one never is. */
export const isDone = ({ next, end }: Pick<Range, 'next' | 'end'>) => end !== null && next > end

/**
 * How far the bridge has come, in its inbox: written at most once every `settleMs`, and when
 * closed. Reading throws when the positions are not those that were written.
 */
export function openPositions(db: Database, settleMs: number) {
  const seal = openSeal(db)
  const selectRanges = db.prepare('SELECT * FROM ranges WHERE store = ? ORDER BY id')
  const insertRange = db.prepare(
    `INSERT INTO ranges (store, next, "end", topic, partitions, zones, reason)
     VALUES (@store, @next, @end, @topic, @partitions, @zones, @reason)`,
  )
  const turnRange = db.prepare('UPDATE ranges SET topic = ?, partitions = ? WHERE id = ?')
  const removeDone = db.prepare('DELETE FROM ranges WHERE next > "end"')
  const moveRange = db.prepare('UPDATE ranges SET next = ? WHERE id = ?')
  const selectNotes = db.prepare('SELECT next FROM notePositions WHERE store = ?').pluck()
  const moveNotes = db.prepare('INSERT OR REPLACE INTO notePositions VALUES (?, ?)')
  const unsaved = { ranges: new Map<number, number>(), notes: new Map<string, number>() }
  let timer: NodeJS.Timeout | undefined

  const check = () => {
    if (!seal.isWhole()) throw new Unsound('the positions are not those that were written')
  }
  const sealed = db.transaction(<T>(write: () => T): T => {
    check()
    const done = write()
    seal.write()
    return done
  })
  const { flush } = markingDamage(db.name, {
    flush(): void {
      clearTimeout(timer)
      timer = undefined
      if (unsaved.ranges.size + unsaved.notes.size === 0) return
      sealed.immediate(() => {
        for (const [id, next] of unsaved.ranges) moveRange.run(next, id)
        removeDone.run()
        for (const [store, next] of unsaved.notes) moveNotes.run(Buffer.from(store, 'hex'), next)
      })
      unsaved.ranges.clear()
      unsaved.notes.clear()
    },
  })
  const saveSoon = () => {
    timer ??= setTimeout(() => {
      try {
        flush()
      } catch (error) {
        // A full disk: the positions stay in memory, and what they pass is sent twice at worst.
        if (!isDiskFull(error)) throw error
        saveSoon()
      }
    }, settleMs)
  }

  check()
  return {
    flush,
    /** The ranges of a store that are not done, as they were moved, saved or not. */
    rangesOf(store: Buffer): Range[] {
      check()
      const saved = selectRanges.all(store) as Range[]
      return saved
        .map(range => ({ ...range, next: unsaved.ranges.get(range.id) ?? range.next }))
        .filter(range => !isDone(range))
    },
    /** Adds a range durably; it gets its id. */
    addRange(range: Omit<Range, 'id'>): Range {
      const { lastInsertRowid } = sealed.immediate(() => insertRange.run(range)) as {
        lastInsertRowid: number | bigint
      }
      return { ...range, id: Number(lastInsertRowid) }
    },
    /** Sends a range to another topic, durably. */
    turnRange({ id, topic, partitions }: Range): void {
      sealed.immediate(() => turnRange.run(topic, partitions, id))
    },
    /** Moves a range on; durable within `settleMs` or at close. One that is done goes then. */
    moveRange({ id, next }: Pick<Range, 'id' | 'next'>): void {
      unsaved.ranges.set(id, next)
      saveSoon()
    },
    /**
     * The number of the next note of a store (the outbox's, or this inbox's own) to forward; null
     * when none was.
     */
    nextNote(store: Buffer): number | null {
      const next = unsaved.notes.get(store.toString('hex'))
      if (next !== undefined) return next
      check()
      return (selectNotes.get(store) as number | undefined) ?? null
    },
    moveNotes(store: Buffer, next: number): void {
      unsaved.notes.set(store.toString('hex'), next)
      saveSoon()
    },
  }
}
