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

/** One step deletes at most so much: a few milliseconds and one fsync between two commits. */
const STEP_MAX_GROUPS = 200
const STEP_MAX_BYTES = 4 * 1024 * 1024
const STEP_MAX_NOTES = 500

/** A group as it is judged: `to` is the last number it can have, `bytes` its header and body. */
export type PruningCandidate = {
  sequence: number
  to: number
  epoch: number
  receivedTo: number
  bytes: number
  lane: string
  /** How many of its numbers have no event any more; all of them when it is emptied. */
  gone: number
  isEmptied: 0 | 1
}

type Parts = {
  db: Database
  notes: NoteLog
  heads: Pick<ReturnType<typeof createZoneHeads>, 'outlive'>
  /** Called when notes were added. */
  ring(): void
}

export type Pruning = ReturnType<typeof createPruning>

/**
 * Deletes from the front of an outbox, each call in one transaction. The last group and the last
 * note always stay, because numbers go on behind them.
 */
export function createPruning({ db, notes, heads, ring }: Parts) {
  const groups = openOldestGroups(db)
  const removeGroups = db.prepare('DELETE FROM groups WHERE sequence <= ?')
  const removeThinned = db.prepare('DELETE FROM thinned WHERE sequence <= ?')
  const replace = createGroupReplacer(db)
  const remove = (upTo: number) => {
    removeGroups.run(upTo)
    removeThinned.run(upTo)
  }
  const removeNotes = db.prepare('DELETE FROM notes WHERE sequence < ?')
  const oldestNotes = db.prepare('SELECT sequence, at FROM notes ORDER BY sequence LIMIT ?')
  const firstNote = db.prepare('SELECT min(sequence) FROM notes').pluck()
  return {
    stored: createStoredTotals(db),
    ...groups,
    /** Deletes the groups up to this one, which is not the last. */
    prune(upTo: Pick<PruningCandidate, 'sequence' | 'to'>): void {
      notes.transact(() => {
        heads.outlive(upTo.to)
        remove(upTo.sequence)
      })
    },
    /** The same for what may not be delivered: with tombstones of what `spans` still wait for. */
    drop(
      upTo: Pick<PruningCandidate, 'sequence' | 'to'>,
      spans: SequenceRange[] | null,
      reason: string,
    ): void {
      notes.transact(() => {
        heads.outlive(upTo.to)
        for (const tombstone of tombstonesOf(groups.groupsUpTo(upTo.sequence), spans, reason)) {
          notes.add('tombstone', Date.now(), tombstone)
        }
        remove(upTo.sequence)
      })
      ring()
    },
    /**
     * Takes what cannot go from the front out of its groups: their numbers stay, without events.
     * A group whose header cannot be trusted is left as it is.
     */
    emptyGroups(doomed: PruningCandidate[], spans: SequenceRange[] | null, reason: string): void {
      notes.transact(() => {
        const sound = groups.headsOf(doomed).filter(group => isHeaderIntact(group))
        for (const tombstone of tombstonesOf(sound, spans, reason)) {
          notes.add('tombstone', Date.now(), tombstone)
        }
        for (const run of mergeableRuns(sound, group => group)) {
          const before = groups.headBefore(run[0]!.sequence)
          const joins = before && isHeaderIntact(before) && isEmptied(before)
          replace(joins && canMerge(before, run[0]!) ? [before, ...run] : run, [])
        }
      })
      ring()
    },
    /** How many notes there are before a number. */
    countNotesBefore(sequence: number): number {
      const first = firstNote.get() as number | null
      return first === null ? 0 : Math.max(0, Math.min(sequence, notes.last) - first)
    },
    /** The oldest notes that one step may delete; the last one is never among them. */
    oldestNotes(): { sequence: number; at: number }[] {
      const rows = oldestNotes.all(STEP_MAX_NOTES) as { sequence: number; at: number }[]
      return rows.filter(({ sequence }) => sequence < notes.last)
    },
    pruneNotes(before: number): void {
      notes.transact(() => removeNotes.run(Math.min(before, notes.last)))
    },
  }
}

/** Looks at the groups that would go first. */
function openOldestGroups(db: Database) {
  const facts = `sequence, epoch, receivedTo, lane,
    coalesce(length(header) + length(body), 0) AS bytes,
    coalesce((SELECT events FROM thinned WHERE sequence = groups.sequence), 0) AS gone,
    ${IS_EMPTIED_SQL} AS isEmptied`
  const selectOldest = db.prepare(`SELECT ${facts} FROM groups ORDER BY sequence LIMIT ?`)
  const selectWithEvents = db.prepare(
    `SELECT ${facts}, sequence + count - 1 AS "to" FROM groups WHERE sequence >=
     coalesce((SELECT max(sequence) FROM groups WHERE sequence <= @next), 0)
     AND sequence + count > @next AND NOT (${IS_EMPTIED_SQL})
     ORDER BY sequence LIMIT 1`,
  )
  const behind = db.prepare(
    `SELECT ${facts} FROM groups WHERE sequence >= ? ORDER BY sequence LIMIT ?`,
  )
  const headers = db.prepare(`SELECT ${GROUP_HEAD_COLUMNS} FROM groups ORDER BY sequence LIMIT ?`)
  const header = db.prepare(`SELECT ${GROUP_HEAD_COLUMNS} FROM groups WHERE sequence = ?`)
  const before = db.prepare(
    `SELECT ${GROUP_HEAD_COLUMNS} FROM groups WHERE sequence < ? ORDER BY sequence DESC LIMIT 1`,
  )
  const whole = db.prepare('SELECT * FROM groups WHERE sequence = ?')
  const selectGaps = db.prepare(
    `SELECT behind AS "from", next - behind AS count FROM (SELECT sequence + count AS behind,
     lead(sequence) OVER (ORDER BY sequence) AS next FROM groups) WHERE next > behind`,
  )
  const withEnds = <T extends { sequence: number }>(rows: T[]) =>
    rows.slice(0, -1).map((row, at) => ({ ...row, to: rows[at + 1]!.sequence - 1 }))
  return {
    /** The oldest groups that one step may delete; the last one is never among them. */
    oldestGroups(maxBytes = Number.POSITIVE_INFINITY): PruningCandidate[] {
      const rows = withEnds(selectOldest.all(STEP_MAX_GROUPS + 1) as Omit<PruningCandidate, 'to'>[])
      const enough = Math.min(maxBytes, STEP_MAX_BYTES)
      let [end, bytes] = [0, 0]
      while (end < rows.length && bytes < enough) bytes += rows[end++]!.bytes
      return rows.slice(0, end)
    },
    /** Groups from a number on, at most so many; the last of all is never among them. */
    from: (sequence: number, limit: number): PruningCandidate[] =>
      withEnds(behind.all(sequence, limit + 1) as Omit<PruningCandidate, 'to'>[]),
    /** The heads of groups, which are not among the last. */
    headsOf: (some: PruningCandidate[]): DoomedGroup[] =>
      some.flatMap(({ sequence, to }) => {
        const found = header.get(sequence) as GroupHead | undefined
        return found ? [{ ...found, to }] : []
      }),
    headBefore: (sequence: number) => before.get(sequence) as GroupHead | undefined,
    /** The group with this number, or the first behind it that is not emptied. */
    firstWithEvents: (next: number) =>
      selectWithEvents.get({ next }) as PruningCandidate | undefined,
    /** The groups up to this one, which is among the oldest. */
    groupsUpTo(sequence: number): DoomedGroup[] {
      const rows = headers.all(STEP_MAX_GROUPS + 1) as GroupHead[]
      return withEnds(rows).filter(row => row.sequence <= sequence)
    },
    /** How far the clock was trusted when a group was received; null when it cannot be read. */
    clockOf({ sequence }: Pick<PruningCandidate, 'sequence'>): ClockState | null {
      const row = whole.get(sequence) as GroupRow | undefined
      const events = row && unpackGroup(row)
      if (!Array.isArray(events) || !events[0]) return null
      try {
        return decodeEvent(events[0].value).clock
      } catch {
        // Of a newer program's schema.
        return null
      }
    },
    /** Numbers between groups that no event has; looks at every group. */
    gaps: () => selectGaps.all() as { from: number; count: number }[],
  }
}
