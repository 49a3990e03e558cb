import type { Database } from 'better-sqlite3'
import { type ClockState, decodeEvent } from '../../../config/event/sensor-reading.ts'
import type { NoteLog } from '../notes/note-log.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import {
  type GroupRow,
  IS_EMPTIED_SQL,
  isEmptied,
  isHeaderIntact,
  unpackGroup,
} from './group-codec.ts'
import { canMerge, createGroupReplacer, mergeableRuns } from './group-rewrite.ts'
import { GROUP_HEAD_COLUMNS, type GroupHead } from './group-table.ts'
import { createStoredTotals } from './stored-totals.ts'
import { type DoomedGroup, tombstonesOf } from './tombstones.ts'
import type { createZoneHeads } from './zone-heads.ts'

/**
 * The limits of one step, so that a step between two commits takes a few milliseconds and one
 * fsync.
 */
const STEP_MAX_GROUPS = 200
const STEP_MAX_BYTES = 4 * 1024 * 1024
const STEP_MAX_NOTES = 500

/**
 * A group that pruning may delete. `to` is the last sequence before the next group; `bytes` is the
 * size of header and body.
 */
export type PruningCandidate = {
  sequence: number
  to: number
  epoch: number
  receivedTo: number
  bytes: number
  lane: string
  /** How many events were removed from the group; all events if it was emptied. */
  removedEvents: number
  isEmptied: 0 | 1
}

type Parts = {
  db: Database
  notes: NoteLog
  heads: Pick<ReturnType<typeof createZoneHeads>, 'saveBeforePruning'>
  /** Called after a transaction that added notes. */
  ring(): void
}

export type Pruning = ReturnType<typeof createPruning>

/**
 * Deletes the oldest groups and notes of an outbox, each call in one transaction. The last group
 * and the last note always stay, because the next sequence and the next note number are derived
 * from them.
 */
export function createPruning({ db, notes, heads, ring }: Parts) {
  const groups = createGroupQueries(db)
  const deleteGroups = db.prepare('DELETE FROM groups WHERE sequence <= ?')
  const deleteThinned = db.prepare('DELETE FROM thinned WHERE sequence <= ?')
  const replace = createGroupReplacer(db)
  const remove = (upTo: number) => {
    deleteGroups.run(upTo)
    deleteThinned.run(upTo)
  }
  const deleteNotes = db.prepare('DELETE FROM notes WHERE sequence < ?')
  const selectOldestNotes = db.prepare('SELECT sequence, at FROM notes ORDER BY sequence LIMIT ?')
  const selectFirstNote = db.prepare('SELECT min(sequence) FROM notes').pluck()
  return {
    stored: createStoredTotals(db),
    ...groups,
    /** Deletes delivered groups up to the given one, which is not the last group. */
    prune(upTo: Pick<PruningCandidate, 'sequence' | 'to'>): void {
      notes.transact(() => {
        heads.saveBeforePruning(upTo.to)
        remove(upTo.sequence)
      })
    },
    /**
     * Deletes groups up to the given one, delivered or not, and writes tombstones for the events
     * that are in the ranges `undelivered`; null: for all events.
     */
    drop(
      upTo: Pick<PruningCandidate, 'sequence' | 'to'>,
      undelivered: SequenceRange[] | null,
      reason: string,
    ): void {
      notes.transact(() => {
        heads.saveBeforePruning(upTo.to)
        const deleted = groups.groupsUpTo(upTo.sequence)
        for (const tombstone of tombstonesOf(deleted, undelivered, reason)) {
          notes.add({ kind: 'tombstone', content: tombstone }, Date.now())
        }
        remove(upTo.sequence)
      })
      ring()
    },
    /**
     * Removes all events of groups that come after an older group which must stay. The rows of the
     * emptied groups stay. A group whose header cannot be trusted is not changed.
     */
    emptyGroups(
      doomed: PruningCandidate[],
      undelivered: SequenceRange[] | null,
      reason: string,
    ): void {
      notes.transact(() => {
        const intact = groups.headsOf(doomed).filter(group => isHeaderIntact(group))
        for (const tombstone of tombstonesOf(intact, undelivered, reason)) {
          notes.add({ kind: 'tombstone', content: tombstone }, Date.now())
        }
        for (const run of mergeableRuns(intact, group => group)) {
          const before = groups.headBefore(run[0]!.sequence)
          const isBeforeEmptied = before && isHeaderIntact(before) && isEmptied(before)
          replace(isBeforeEmptied && canMerge(before, run[0]!) ? [before, ...run] : run, [])
        }
      })
      ring()
    },
    /** Counts the stored notes before a note sequence. */
    countNotesBefore(sequence: number): number {
      const first = selectFirstNote.get() as number | null
      return first === null ? 0 : Math.max(0, Math.min(sequence, notes.last) - first)
    },
    /** Returns the oldest notes that one step may delete, without the last note. */
    oldestNotes(): { sequence: number; at: number }[] {
      const rows = selectOldestNotes.all(STEP_MAX_NOTES) as { sequence: number; at: number }[]
      return rows.filter(({ sequence }) => sequence < notes.last)
    },
    /** Deletes the notes before a note sequence, but never the last note. */
    pruneNotes(before: number): void {
      notes.transact(() => deleteNotes.run(Math.min(before, notes.last)))
    },
  }
}

/** Queries for the groups that pruning may delete. */
function createGroupQueries(db: Database) {
  const columns = `sequence, epoch, receivedTo, lane,
    coalesce(length(header) + length(body), 0) AS bytes,
    coalesce((SELECT events FROM thinned WHERE sequence = groups.sequence), 0) AS removedEvents,
    ${IS_EMPTIED_SQL} AS isEmptied`
  const selectOldest = db.prepare(`SELECT ${columns} FROM groups ORDER BY sequence LIMIT ?`)
  const selectWithEvents = db.prepare(
    `SELECT ${columns}, sequence + count - 1 AS "to" FROM groups WHERE sequence >=
     coalesce((SELECT max(sequence) FROM groups WHERE sequence <= @next), 0)
     AND sequence + count > @next AND NOT (${IS_EMPTIED_SQL})
     ORDER BY sequence LIMIT 1`,
  )
  const selectFrom = db.prepare(
    `SELECT ${columns} FROM groups WHERE sequence >= ? ORDER BY sequence LIMIT ?`,
  )
  const selectHeads = db.prepare(
    `SELECT ${GROUP_HEAD_COLUMNS} FROM groups ORDER BY sequence LIMIT ?`,
  )
  const selectHead = db.prepare(`SELECT ${GROUP_HEAD_COLUMNS} FROM groups WHERE sequence = ?`)
  const selectHeadBefore = db.prepare(
    `SELECT ${GROUP_HEAD_COLUMNS} FROM groups WHERE sequence < ? ORDER BY sequence DESC LIMIT 1`,
  )
  const selectGroup = db.prepare('SELECT * FROM groups WHERE sequence = ?')
  const selectGaps = db.prepare(
    `SELECT after AS "from", next - after AS count FROM (SELECT sequence + count AS after,
     lead(sequence) OVER (ORDER BY sequence) AS next FROM groups) WHERE next > after`,
  )
  const withEnds = <T extends { sequence: number }>(rows: T[]) =>
    rows.slice(0, -1).map((row, at) => ({ ...row, to: rows[at + 1]!.sequence - 1 }))
  return {
    /** The oldest groups that one step may delete, without the last group. */
    oldestGroups(maxBytes = Number.POSITIVE_INFINITY): PruningCandidate[] {
      const rows = withEnds(selectOldest.all(STEP_MAX_GROUPS + 1) as Omit<PruningCandidate, 'to'>[])
      const enough = Math.min(maxBytes, STEP_MAX_BYTES)
      let [end, bytes] = [0, 0]
      while (end < rows.length && bytes < enough) bytes += rows[end++]!.bytes
      return rows.slice(0, end)
    },
    /** At most `limit` groups from a sequence on, without the last group. */
    groupsFrom: (sequence: number, limit: number): PruningCandidate[] =>
      withEnds(selectFrom.all(sequence, limit + 1) as Omit<PruningCandidate, 'to'>[]),
    /** The heads of groups that are still stored. */
    headsOf: (candidates: PruningCandidate[]): DoomedGroup[] =>
      candidates.flatMap(({ sequence, to }) => {
        const head = selectHead.get(sequence) as GroupHead | undefined
        return head ? [{ ...head, to }] : []
      }),
    /** The head of the group before a sequence. */
    headBefore: (sequence: number) => selectHeadBefore.get(sequence) as GroupHead | undefined,
    /** The group with this sequence, or the first group after it, without emptied groups. */
    firstWithEvents: (next: number) =>
      selectWithEvents.get({ next }) as PruningCandidate | undefined,
    /** The heads of the groups up to the given one, which is among `oldestGroups`. */
    groupsUpTo(sequence: number): DoomedGroup[] {
      const rows = selectHeads.all(STEP_MAX_GROUPS + 1) as GroupHead[]
      return withEnds(rows).filter(row => row.sequence <= sequence)
    },
    /** The clock state of a group's first event; null when the group cannot be read. */
    clockOf({ sequence }: Pick<PruningCandidate, 'sequence'>): ClockState | null {
      const row = selectGroup.get(sequence) as GroupRow | undefined
      const events = row && unpackGroup(row)
      if (!Array.isArray(events) || !events[0]) return null
      try {
        return decodeEvent(events[0].value).clock
      } catch {
        // The event has a schema of a newer program, which this program cannot decode.
        return null
      }
    },
    /** The gaps between groups. Reads every group's key. */
    gaps: () => selectGaps.all() as { from: number; count: number }[],
  }
}
