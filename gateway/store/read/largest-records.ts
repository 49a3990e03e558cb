import Database from 'better-sqlite3'
import { openInboxReader } from '../delivery/inbox-reader.ts'
import { openReadOnly } from '../file/readonly-database.ts'
import { OUTBOX_APPLICATION_ID } from '../file/schema.ts'
import { type GroupRow, unpackGroup } from '../groups/group-codec.ts'

/** How many of the waiting groups with the most bytes are searched for the largest event. */
const GROUPS_MAX = 20

/** The largest records that wait for Kafka, in bytes before compression; 0 where none waits. */
export type LargestRecords = { event: number; note: number; deadLetter: number }

/**
 * Measures the largest event, note and dead letter that the bridge has still to send. The largest
 * event is that of the 20 groups with the most bytes, because a search through a backlog of
 * gigabytes would take minutes. All are 0 when there is no outbox that can be read.
 */
export function readLargestRecords(outboxFile: string, inboxFile: string): LargestRecords {
  const largest: LargestRecords = { event: 0, note: 0, deadLetter: 0 }
  const db = openReadOnly(outboxFile, OUTBOX_APPLICATION_ID)
  if (!db) return largest
  const stateOf = openInboxReader(inboxFile)
  try {
    const store = db.prepare('SELECT id FROM store').pluck().get() as Buffer | undefined
    if (!store) return largest
    const { pendingRanges, nextNote } = stateOf(store)
    const next = Math.min(...(pendingRanges ?? [{ next: 1 }]).map(range => range.next))
    const groups = db.prepare(
      `SELECT * FROM groups WHERE sequence + count > ?
       ORDER BY length(body) DESC LIMIT ${GROUPS_MAX}`,
    )
    for (const row of groups.iterate(next) as Iterable<GroupRow>) {
      const events = unpackGroup(row)
      if (!Array.isArray(events)) continue
      for (const { value } of events) largest.event = Math.max(largest.event, value.length)
    }
    const notes = db.prepare(
      `SELECT kind = 'deadletter' AS isDeadLetter, max(length(body)) AS bytes FROM notes
       WHERE sequence >= ? GROUP BY isDeadLetter`,
    )
    for (const { isDeadLetter, bytes } of notes.all(nextNote) as NoteSize[]) {
      largest[isDeadLetter === 1 ? 'deadLetter' : 'note'] = bytes
    }
    return largest
  } catch (error) {
    // A busy or damaged file has a finding of its own.
    if (error instanceof Database.SqliteError) return largest
    throw error
  } finally {
    stateOf.close()
    db.close()
  }
}

type NoteSize = { isDeadLetter: 0 | 1; bytes: number }
