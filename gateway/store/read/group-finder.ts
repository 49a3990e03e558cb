import type { Database } from 'better-sqlite3'
import { DamagedFileError } from '../file/damage-mark.ts'
import {
  type GroupRow,
  readHeader,
  type StoredEvent,
  unpackGroup,
  type ZoneRange,
} from '../groups/group-codec.ts'

/** A group as a reader gets it. */
export type ReadGroup = {
  sequence: number
  count: number
  receivedFrom: number
  /** The events, or why they cannot be read; with the zones when the header is intact. */
  content: StoredEvent[] | { reason: string; zones?: ZoneRange[] }
}

/**
 * Finds groups by the numbers of their events. Verifies what the file says of itself: `lastMarked`
 * gives the last event by the bell, null when the bell cannot be read. Throws DamagedFileError for
 * damage that would make a reader wait for events that are stored.
 */
export function createGroupFinder(db: Database, lastMarked: () => number | null) {
  const selectUpTo = db.prepare(
    'SELECT sequence, count FROM groups WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1',
  )
  // `>=` and not `>`: the group at `sequence` may have been committed since `selectUpTo` ran.
  const selectFrom = db.prepare('SELECT min(sequence) FROM groups WHERE sequence >= ?').pluck()
  const selectGroup = db.prepare('SELECT * FROM groups WHERE sequence = ?')
  return {
    /**
     * The group with the event `sequence`, or the next one. Null when there is none yet, or when
     * the end of the group cannot be known yet: its header is damaged and the group is the last.
     */
    groupAt(sequence: number): ReadGroup | null {
      const intact = intactGroupAt(sequence)
      if (intact) return intact
      const start = startOf(sequence)
      if (start === null) return null
      const group = readGroup(start)
      if (group === 'end unknown') return null
      if (group && group.sequence + group.count > sequence) return group
      // The last group ends before `sequence`: the next one is not stored yet.
      if (group && selectFrom.get(start + 1) === null) return null
      // A group that was written or pruned between the two queries is found at the next call.
      if (startOf(sequence) === start) {
        throw new DamagedFileError(`event ${sequence} cannot be found: the groups are not in order`)
      }
      return null
    },
    /**
     * The last event by the bell, when no event from `sequence` up to it is stored any more; null
     * while events are stored, or when the bell knows of none.
     */
    missingUpTo(sequence: number): number | null {
      const last = lastMarked()
      // The bell rings after the commit: an event that it knows is stored or deleted.
      const isMissing = last !== null && last >= sequence && selectFrom.get(sequence) === null
      return isMissing ? last : null
    },
  }

  /** The fast path of a reader that goes from group to group: an intact group that starts there. */
  function intactGroupAt(sequence: number): ReadGroup | null {
    const row = selectGroup.get(sequence) as GroupRow | undefined
    const content = row ? unpackGroup(row) : null
    if (!row || !Array.isArray(content)) return null
    return { sequence, count: row.count, receivedFrom: row.receivedFrom, content }
  }

  /** The first number of the group with this event, or of the next group. */
  function startOf(sequence: number): number | null {
    const near = selectUpTo.get(sequence) as { sequence: number; count: number } | undefined
    const covers = near && near.sequence + near.count > sequence
    const start = covers ? near.sequence : (selectFrom.get(sequence) as number | null)
    if (start !== null && start < sequence && !covers) {
      throw new DamagedFileError(`the groups are not in order at ${start}`)
    }
    return start
  }

  function readGroup(start: number): ReadGroup | 'end unknown' | null {
    const row = selectGroup.get(start) as GroupRow | undefined
    if (!row) return null
    const { count, receivedFrom } = row
    const content = unpackGroup(row)
    const group = { sequence: row.sequence, count, receivedFrom, content }
    if (Array.isArray(content)) return group
    const zones = readHeader(row)
    if (Array.isArray(zones)) return { ...group, content: { ...content, zones } }
    const end = endOf(row.sequence)
    return end === null ? 'end unknown' : { ...group, count: end - row.sequence }
  }

  /**
   * The number after a group whose own count cannot be trusted: the start of the next group, or the
   * number after the bell's last event.
   */
  function endOf(sequence: number): number | null {
    const last = lastMarked()
    const next = selectFrom.get(sequence + 1) as number | null
    if (next !== null) return next
    if (last === null) return null
    // The bell rings after each commit: a larger number was never assigned.
    if (sequence > last + 1) {
      throw new DamagedFileError(`group ${sequence} starts after the bell's last event ${last}`)
    }
    return last >= sequence ? last + 1 : null
  }
}
