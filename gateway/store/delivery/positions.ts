import type { Database } from 'better-sqlite3'
import { isDiskFull } from '../file/ballast.ts'
import { DamagedFileError, withDamageMarking } from '../file/damage-mark.ts'
import { isDone, type Range, type RangesEdit } from '../sequence/delivery-range.ts'
import { createPositionChecksum } from './position-checksum.ts'
import { createRangeTable } from './range-table.ts'

/**
 * How far the bridge has come, in its inbox: written at most once every `settleMs`, and when
 * closed. Reading throws when the positions are not those that were written.
 */
export function createPositions(db: Database, settleMs: number) {
  const seal = createPositionChecksum(db)
  const rows = createRangeTable(db)
  const selectNotes = db.prepare('SELECT next FROM notePositions WHERE store = ?').pluck()
  const moveNotes = db.prepare('INSERT OR REPLACE INTO notePositions VALUES (?, ?)')
  const unsaved = { ranges: new Map<number, number>(), notes: new Map<string, number>() }
  let timer: NodeJS.Timeout | undefined

  const check = () => {
    if (!seal.isIntact())
      throw new DamagedFileError('the positions are not those that were written')
  }
  const sealed = db.transaction(<T>(write: () => T): T => {
    check()
    const done = write()
    seal.write()
    return done
  })
  const { flush } = withDamageMarking(db.name, {
    flush(): void {
      clearTimeout(timer)
      timer = undefined
      if (unsaved.ranges.size + unsaved.notes.size === 0) return
      sealed.immediate(() => {
        rows.move(unsaved.ranges)
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

  /** Changes the ranges in one transaction; gives what was added with their ids. */
  const edit = (asked: RangesEdit): Range[] => {
    const added = sealed.immediate(() => rows.edit(asked)) as Range[]
    // What was not yet saved of them is, and an id may be given out again.
    const known = [...(asked.removed ?? []), ...(asked.changed ?? []), ...added]
    for (const { id } of known) unsaved.ranges.delete(id)
    return added
  }

  check()
  return {
    flush,
    /** The ranges of a store that are not done, as they were moved, saved or not. */
    rangesOf(store: Buffer): Range[] {
      check()
      return rows
        .of(store)
        .map(range => ({ ...range, next: unsaved.ranges.get(range.id) ?? range.next }))
        .filter(range => !isDone(range))
    },
    edit,
    /** Adds a range durably; it gets its id. */
    addRange: (range: Omit<Range, 'id'>): Range => edit({ added: [range] })[0]!,
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
