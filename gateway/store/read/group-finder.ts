import type { Database } from 'better-sqlite3'
import { DamagedFileError } from '../file/damage-mark.ts'
import {
  type GroupRow,
  readHeader,
  type StoredEvent,
  unpackGroup,
  type ZoneRange,
} from '../groups/group-codec.ts'

/** A group as a reader gets it: its events, or why they cannot be read. */
export type ReadGroup = {
  sequence: number
  count: number
  receivedFrom: number
  /** Its events, or why they cannot be read and, if its header is whole, which they were. */
  content: StoredEvent[] | { reason: string; zones?: ZoneRange[] }
}

/**
 * Finds groups by the numbers of their events and believes nothing that the file says of itself:
 * `marked` is the last event by the bell, null when it cannot say. Throws when the file is damaged
 * in a way that would have events waited for although they are there.
 */
export function createGroupFinder(db: Database, lastMarked: () => number | null) {
  const upTo = db.prepare(
    'SELECT sequence, count FROM groups WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1',
  )
  // From `sequence` on, not behind it: the group itself may have been committed since `upTo`
  // looked.
  const from = db.prepare('SELECT min(sequence) FROM groups WHERE sequence >= ?').pluck()
  const selectGroup = db.prepare('SELECT * FROM groups WHERE sequence = ?')
  return {
    /**
     * The group with the event `sequence`, or the first behind it. Null when there is none yet, or
     * when how far it goes cannot be known yet: its header is damaged and it is the last.
     */
    groupAt(sequence: number): ReadGroup | null {
      const usual = beginningAt(sequence)
      if (usual) return usual
      const at = placeOf(sequence)
      if (at === null) return null
      const group = groupIn(at)
      if (group === 'not known yet') return null
      if (group && group.sequence + group.count > sequence) return group
      // A last group that says of itself that it goes further: what follows is not there yet.
      if (group && from.get(at + 1) === null) return null
      // Unless it was written or pruned just now: then the next look finds its way.
      if (placeOf(sequence) === at)
        throw new DamagedFileError(`the way to event ${sequence} is lost`)
      return null
    },
    /** Up to where everything from `sequence` on was once stored, by the bell, and is gone. */
    missingUpTo(sequence: number): number | null {
      const last = lastMarked()
      // The bell rings behind the commit: what it knows of is there by now, or is gone.
      const isGone = last !== null && last >= sequence && from.get(sequence) === null
      return isGone ? last : null
    },
  }

  /** Readers go from one group to the next: one whole group that begins there, or null. */
  function beginningAt(sequence: number): ReadGroup | null {
    const row = selectGroup.get(sequence) as GroupRow | undefined
    const content = row ? unpackGroup(row) : null
    if (!row || !Array.isArray(content)) return null
    return { sequence, count: row.count, receivedFrom: row.receivedFrom, content }
  }

  function placeOf(sequence: number): number | null {
    const near = upTo.get(sequence) as { sequence: number; count: number } | undefined
    const covers = near && near.sequence + near.count > sequence
    const at = covers ? near.sequence : (from.get(sequence) as number | null)
    if (at !== null && at < sequence && !covers)
      throw new DamagedFileError(`the groups are not in order at ${at}`)
    return at
  }

  function groupIn(at: number): ReadGroup | 'not known yet' | null {
    const row = selectGroup.get(at) as GroupRow | undefined
    if (!row) return null
    const { count, receivedFrom } = row
    const content = unpackGroup(row)
    const read = { sequence: row.sequence, count, receivedFrom, content }
    if (Array.isArray(content)) return read
    const zones = readHeader(row)
    if (Array.isArray(zones)) return { ...read, content: { ...content, zones } }
    const end = endOf(row.sequence)
    return end === null ? 'not known yet' : { ...read, count: end - row.sequence }
  }

  /**
   * Where a group ends whose own count cannot be trusted: at the next one, or at the bell's mark.
   */
  function endOf(sequence: number): number | null {
    const last = lastMarked()
    const next = from.get(sequence + 1) as number | null
    if (next !== null) return next
    if (last === null) return null
    // The bell rings behind each commit, so this is no number that was given out.
    if (sequence > last + 1)
      throw new DamagedFileError(`a group ${sequence}, and the bell says ${last}`)
    return last >= sequence ? last + 1 : null
  }
}
