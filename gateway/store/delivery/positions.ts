import type { Database } from 'better-sqlite3'
import { isDiskFull } from '../file/ballast.ts'
import { DamagedFileError, withDamageMarking } from '../file/damage-mark.ts'
import { POSITIONS_DAMAGED } from '../file/range-kind-migration.ts'
import { isDone, type Range, type RangesEdit } from '../sequence/delivery-range.ts'
import { createPositionChecksum } from './position-checksum.ts'
import { createRangeTable } from './range-table.ts'

/**
 * The bridge's positions in its inbox. Positions are written at most once every `saveIntervalMs`,
 * and at `flush`. Reading throws a DamagedFileError when the checksum over the positions differs.
 */
export function createPositions(db: Database, saveIntervalMs: number) {
  const checksum = createPositionChecksum(db)
  const table = createRangeTable(db)
  const selectNextNote = db.prepare('SELECT next FROM notePositions WHERE store = ?').pluck()
  const upsertNextNote = db.prepare('INSERT OR REPLACE INTO notePositions VALUES (?, ?)')
  const unsaved = { ranges: new Map<number, number>(), notes: new Map<string, number>() }
  let timer: NodeJS.Timeout | undefined

  const check = () => {
    if (!checksum.isIntact()) throw new DamagedFileError(POSITIONS_DAMAGED)
  }
  const writeWithChecksum = db.transaction(<T>(write: () => T): T => {
    check()
    const result = write()
    checksum.write()
    return result
  })
  const { flush } = withDamageMarking(db.name, {
    flush(): void {
      clearTimeout(timer)
      timer = undefined
      if (unsaved.ranges.size + unsaved.notes.size === 0) return
      writeWithChecksum.immediate(() => {
        table.move(unsaved.ranges)
        for (const [store, next] of unsaved.notes)
          upsertNextNote.run(Buffer.from(store, 'hex'), next)
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
        // On a full disk the positions stay in memory; after a crash their events are sent again.
        if (!isDiskFull(error)) throw error
        saveSoon()
      }
    }, saveIntervalMs)
  }

  /** Changes the ranges in one transaction; returns the added ranges with their ids. */
  const edit = (change: RangesEdit): Range[] => {
    const added = writeWithChecksum.immediate(() => table.edit(change)) as Range[]
    // The edit saved the positions of these ranges. A removed range's unsaved position must be
    // discarded, because SQLite may reuse the id of the removed range.
    const saved = [...(change.removed ?? []), ...(change.changed ?? []), ...added]
    for (const { id } of saved) unsaved.ranges.delete(id)
    return added
  }

  check()
  return {
    /** Writes all positions that are not saved yet. */
    flush,
    /** Returns the ranges of a store that are not done, at their newest positions, saved or not. */
    rangesOf(store: Buffer): Range[] {
      check()
      return table
        .rangesOf(store)
        .map(range => ({ ...range, next: unsaved.ranges.get(range.id) ?? range.next }))
        .filter(range => !isDone(range))
    },
    edit,
    /** Adds a range durably; returns the range with its id. */
    addRange: (range: Omit<Range, 'id'>): Range => edit({ added: [range] })[0]!,
    /**
     * Moves the position of a range. The position becomes durable within `saveIntervalMs` or at
     * `flush`; a range that is done is removed at the same time.
     */
    moveRange({ id, next }: Pick<Range, 'id' | 'next'>): void {
      unsaved.ranges.set(id, next)
      saveSoon()
    },
    /**
     * Returns the number of the next note to forward from a store (the outbox's id, or this inbox's
     * own id); null when no note of the store was forwarded yet.
     */
    nextNote(store: Buffer): number | null {
      const next = unsaved.notes.get(store.toString('hex'))
      if (next !== undefined) return next
      check()
      return (selectNextNote.get(store) as number | undefined) ?? null
    },
    /** Sets the next note to forward; durable within `saveIntervalMs` or at `flush`. */
    moveNotes(store: Buffer, next: number): void {
      unsaved.notes.set(store.toString('hex'), next)
      saveSoon()
    },
  }
}
