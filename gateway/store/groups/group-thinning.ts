import type { Database } from 'better-sqlite3'
import { decodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import type { NoteLog } from '../notes/note-log.ts'
import { encodeRuns } from '../sequence/spans.ts'
import type { createMeans } from './downsampling.ts'
import { GROUP_VERSION, type GroupRow, type StoredEvent, unpackGroup } from './group-codec.ts'
import { createGroupReplacer, mergeableRuns } from './group-rewrite.ts'
import type { GroupHead } from './group-table.ts'
import type { Tombstone } from './tombstones.ts'

/** The most that means take in a note. */
const MEANS_MAX_LENGTH = 64 * 1024

/** What a tombstone says of what went when groups were thinned; numbers in runs (`runs.ts`). */
export type ThinnedTombstone = Omit<Tombstone, 'zones'> & {
  numbers: number[]
  zones: [zone: string, ...numbers: number[]][]
}

type Parts = { db: Database; notes: NoteLog; ring(): void }
type Means = ReturnType<typeof createMeans>
type Opened = { head: GroupHead; events: StoredEvent[] }

/** Reads groups for thinning, and takes out of them what is not kept. */
export function createThinner({ db, notes, ring }: Parts) {
  const select = db.prepare('SELECT *, length(body) AS bodyBytes FROM groups WHERE sequence = ?')
  const replace = createGroupReplacer(db)
  const open = (sequence: number): Opened | null => {
    const row = select.get(sequence) as (GroupRow & GroupHead) | undefined
    if (row?.version !== GROUP_VERSION) return null
    const events = unpackGroup(row)
    return Array.isArray(events) ? { head: row, events } : null
  }
  return {
    /** The events of a whole group; none of one that is thinned, gone or cannot be read. */
    eventsOf(sequence: number): SensorReading[] {
      try {
        return (open(sequence)?.events ?? []).map(({ value }) => decodeEvent(value))
      } catch {
        // Of another schema: what its values mean is not known here.
        return []
      }
    },
    /**
     * Takes out of groups of one epoch, which begin with these numbers, all events but those that
     * are kept, in one transaction with their tombstone; neighbours become one row. Adds what went
     * to the means; they stand in the tombstone when this `isLast` of what they are for.
     */
    thin(
      sequences: number[],
      kept: Set<number>,
      { means, isLast, reason }: { means: Means; isLast: boolean; reason: string },
    ): void {
      notes.transact(() => {
        const gone: SensorReading[] = []
        const opened = sequences.map(open).filter(one => one !== null)
        for (const run of mergeableRuns(opened, ({ head }) => head)) {
          const events = run.flatMap(one => one.events)
          const left = events.filter(({ sequence }) => kept.has(sequence))
          if (left.length === events.length) continue
          for (const { sequence, value } of events) {
            if (!kept.has(sequence)) gone.push(decodeEvent(value))
          }
          const heads = run.map(({ head }) => head)
          replace(heads, left)
        }
        for (const event of gone) means.add(event)
        const told = isLast ? means.toNoteFields(MEANS_MAX_LENGTH) : null
        if (gone.length === 0 && !told?.means.length) return
        notes.add('tombstone', Date.now(), { ...tombstoneOf(gone, reason), ...told })
      })
      ring()
    },
  }
}

function tombstoneOf(gone: SensorReading[], reason: string): ThinnedTombstone | object {
  const [first, last] = [gone[0], gone.at(-1)]
  if (!first || !last) return { count: 0, reason }
  const zones = Map.groupBy(gone, ({ zone }) => zone)
  return {
    epoch: first.epoch,
    from: first.sequence,
    to: last.sequence,
    count: gone.length,
    numbers: encodeRuns(gone.map(({ sequence }) => sequence)),
    zones: [...zones].map(([zone, events]) => [
      zone,
      ...encodeRuns(events.map(({ zoneSequence }) => zoneSequence)),
    ]),
    reason,
  }
}
