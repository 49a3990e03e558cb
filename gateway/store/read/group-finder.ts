import type { Database } from 'better-sqlite3'
import { DamagedFileError } from '../file/damage-mark.ts'
import {
  type GroupRow,
  readHeader,
  type StoredEvent,
  unpackGroup,
  type ZoneRange,
} from '../groups/group-codec.ts'

const NOT_IN_ORDER = 'the rows of the table `groups` are not in order of sequence'

/** A group as it is returned to a reader. */
export type ReadGroup = {
  sequence: number
  count: number
  receivedFrom: number
  /**
   * The events, or the reason why they cannot be read; then also the zones, if the header is
   * intact.
   */
  content: StoredEvent[] | { reason: string; zones?: ZoneRange[] }
}

/**
 * Finds groups by the sequences of their events. `lastMarked` returns the last event that the bell
 * names, or null when the bell cannot be read; the groups must be consistent with it. Throws
 * DamagedFileError for damage that would make a reader wait for ever for an event that is stored.
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
     * Returns the group with the event `sequence`, or else the next group. Returns null when no
     * such group is stored yet. Also returns null when the end of the group is not known yet,
     * because its header is damaged, no later group is stored, and the bell does not name a later
     * event.
     */
    groupAt(sequence: number): ReadGroup | null {
      const intact = intactGroupAt(sequence)
      if (intact) return intact
      const start = startOf(sequence)
      if (start === null) return null
      const group = readGroup(start)
      if (group === 'end unknown') return null
      if (group && group.sequence + group.count > sequence) return group
      // The last group ends before `sequence`, so the event is not stored yet.
      if (group && selectFrom.get(start + 1) === null) return null
      // A group that was written or pruned between the two queries is found at the next call.
      if (startOf(sequence) === start) {
        throw new DamagedFileError(`${db.name}: event ${sequence} cannot be found: ${NOT_IN_ORDER}`)
      }
      return null
    },
    /**
     * Returns the last event that the bell names, if the events from `sequence` up to that event
     * are all missing. Returns null while one of them is stored, and when the bell names no event
     * from `sequence` on.
     */
    missingUpTo(sequence: number): number | null {
      const last = lastMarked()
      // The bell rings after the commit, so an event that the bell names was stored, and is deleted
      // if it cannot be found.
      const isMissing = last !== null && last >= sequence && selectFrom.get(sequence) === null
      return isMissing ? last : null
    },
  }

  /**
   * Returns an intact group that starts at `sequence`, or null. This is the fast path for a reader
   * that reads group after group.
   */
  function intactGroupAt(sequence: number): ReadGroup | null {
    const row = selectGroup.get(sequence) as GroupRow | undefined
    const content = row ? unpackGroup(row) : null
    if (!row || !Array.isArray(content)) return null
    return { sequence, count: row.count, receivedFrom: row.receivedFrom, content }
  }

  /** The first sequence of the group with this event, or else of the next group, or null. */
  function startOf(sequence: number): number | null {
    const near = selectUpTo.get(sequence) as { sequence: number; count: number } | undefined
    const covers = near && near.sequence + near.count > sequence
    const start = covers ? near.sequence : (selectFrom.get(sequence) as number | null)
    if (start !== null && start < sequence && !covers) {
      throw new DamagedFileError(`${db.name}: group ${start} is in a wrong place: ${NOT_IN_ORDER}`)
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
   * Returns the sequence after a group whose own count cannot be trusted: the start of the next
   * group, or the sequence after the last event that the bell names; null when neither is known.
   */
  function endOf(sequence: number): number | null {
    const last = lastMarked()
    const next = selectFrom.get(sequence + 1) as number | null
    if (next !== null) return next
    if (last === null) return null
    // The bell rings after each commit, so no sequence after its last event was assigned, except by
    // a commit that is just ending.
    if (sequence > last + 1) {
      throw new DamagedFileError(`${db.name}: group ${sequence} is after the bell's event ${last}`)
    }
    return last >= sequence ? last + 1 : null
  }
}
