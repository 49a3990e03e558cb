import type { Database } from 'better-sqlite3'
import { decodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import type { ThinnedTombstone } from '../notes/note-kinds.ts'
import type { NoteLog } from '../notes/note-log.ts'
import { encodeRuns } from '../sequence/spans.ts'
import type { createMeans } from './downsampling.ts'
import { GROUP_VERSION, type GroupRow, type StoredEvent, unpackGroup } from './group-codec.ts'
import { createGroupReplacer, mergeableRuns } from './group-rewrite.ts'
import type { GroupHead } from './group-table.ts'

/** The most characters of JSON that the means in a note may have. */
const MEANS_MAX_LENGTH = 64 * 1024

type Parts = { db: Database; notes: NoteLog; ring(): void }
type Means = ReturnType<typeof createMeans>
type UnpackedGroup = { head: GroupHead; events: StoredEvent[] }

/** Reads groups for thinning, and removes events from groups. */
export function createThinner({ db, notes, ring }: Parts) {
  const select = db.prepare('SELECT *, length(body) AS bodyBytes FROM groups WHERE sequence = ?')
  const replace = createGroupReplacer(db)
  const unpack = (sequence: number): UnpackedGroup | null => {
    const row = select.get(sequence) as (GroupRow & GroupHead) | undefined
    if (row?.version !== GROUP_VERSION) return null
    const events = unpackGroup(row)
    return Array.isArray(events) ? { head: row, events } : null
  }
  return {
    /**
     * Returns the events of a complete group; an empty array for a thinned, missing or unreadable
     * group.
     */
    eventsOf(sequence: number): SensorReading[] {
      try {
        return (unpack(sequence)?.events ?? []).map(({ value }) => decodeEvent(value))
      } catch {
        // The events have a schema of a newer program, which this program cannot decode.
        return []
      }
    },
    /**
     * Removes all events except the `kept` events from groups of one epoch, and writes a tombstone,
     * in one transaction. Adjacent groups become one row. `sequences` are the first sequences of
     * the groups. Adds the removed events to `means`; with `isLast`, the means are written into the
     * tombstone.
     */
    thin(
      sequences: number[],
      kept: Set<number>,
      { means, isLast, reason }: { means: Means; isLast: boolean; reason: string },
    ): void {
      notes.transact(() => {
        const removed: SensorReading[] = []
        const groups = sequences.map(unpack).filter(group => group !== null)
        for (const run of mergeableRuns(groups, ({ head }) => head)) {
          const events = run.flatMap(group => group.events)
          const remaining = events.filter(({ sequence }) => kept.has(sequence))
          if (remaining.length === events.length) continue
          for (const { sequence, value } of events) {
            if (!kept.has(sequence)) removed.push(decodeEvent(value))
          }
          const heads = run.map(({ head }) => head)
          replace(heads, remaining)
        }
        for (const event of removed) means.add(event)
        const fields = isLast ? means.toNoteFields(MEANS_MAX_LENGTH) : null
        if (removed.length === 0 && !fields?.means.length) return
        const content = { ...tombstoneOf(removed, reason), ...fields }
        notes.add({ kind: 'tombstone', content }, Date.now())
      })
      ring()
    },
  }
}

/**
 * Creates the tombstone of removed events; when there are none, the tombstone has only the reason.
 */
function tombstoneOf(removed: SensorReading[], reason: string): ThinnedTombstone {
  const [first, last] = [removed[0], removed.at(-1)]
  if (!first || !last) return { count: 0, reason }
  const zones = Map.groupBy(removed, ({ zone }) => zone)
  return {
    epoch: first.epoch,
    from: first.sequence,
    to: last.sequence,
    count: removed.length,
    numbers: encodeRuns(removed.map(({ sequence }) => sequence)),
    zones: [...zones].map(([zone, events]): [string, ...number[]] => [
      zone,
      ...encodeRuns(events.map(({ zoneSequence }) => zoneSequence)),
    ]),
    reason,
  }
}
