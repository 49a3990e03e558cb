import type { Database } from 'better-sqlite3'
import { startBacklog } from './backlog.ts'
import { bellFile, readBell } from './bell.ts'
import { isDamage, Unsound } from './damage.ts'
import {
  type GroupRow,
  readHeader,
  type StoredEvent,
  unpackGroup,
  type ZoneRange,
} from './group.ts'
import { startNoteReader } from './notes.ts'
import { openForReading } from './read.ts'
import { OUTBOX_ID } from './schema.ts'

/** A group as a reader gets it: its events, or why they cannot be read. */
export type ReadGroup = {
  sequence: number
  count: number
  receivedFrom: number
  /** Its events, or why they cannot be read and, if its header is whole, which they were. */
  content: StoredEvent[] | { reason: string; zones?: ZoneRange[] }
}

type Store = { id: Buffer; gateway: string }

export type OutboxReader = NonNullable<ReturnType<typeof openOutboxReader>>

/**
 * Opens the outbox for reading, or gives null while there is none; tells `onDamage` why, when it is
 * because of that. Each call reads one group and leaves no transaction open, because an open one
 * would stop the writer's checkpoints.
 */
export function openOutboxReader(file: string, onDamage: (reason: string) => void = () => {}) {
  const db = openForReading(file, OUTBOX_ID, onDamage)
  if (!db) return null
  try {
    return readerOf(db, file)
  } catch (error) {
    db.close()
    if (!isDamage(error)) throw error
    onDamage((error as Error).message)
    return null
  }
}

function readerOf(db: Database, file: string) {
  const store = db.prepare('SELECT id, gateway FROM store').get() as Store | undefined
  if (!store) {
    db.close()
    return null
  }
  const upTo = db.prepare(
    'SELECT sequence, count FROM groups WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1',
  )
  // From `sequence` on, not behind it: the group itself may have been committed since `upTo`
  // looked.
  const from = db.prepare('SELECT min(sequence) FROM groups WHERE sequence >= ?').pluck()
  const selectGroup = db.prepare('SELECT * FROM groups WHERE sequence = ?')
  const first = db.prepare('SELECT min(sequence) FROM groups').pluck()
  return {
    store: store.id,
    gateway: store.gateway,
    backlog: startBacklog(db),
    get firstSequence() {
      return first.get() as number | null
    },
    /**
     * The group with the event `sequence`, or the first behind it. Null when there is none yet, or
     * when how far it goes cannot be known yet: its header is damaged and it is the last.
     */
    groupAt(sequence: number): ReadGroup | null {
      const at = placeOf(sequence)
      if (at === null) return null
      const group = groupIn(at)
      if (group === 'not known yet') return null
      if (group && group.sequence + group.count > sequence) return group
      // A last group that says of itself that it goes further: what follows is not there yet.
      if (group && from.get(at + 1) === null) return null
      // Unless it was written or pruned just now: then the next look finds its way.
      if (placeOf(sequence) === at) throw new Unsound(`the way to event ${sequence} is lost`)
      return null
    },
    /** Up to where everything from `sequence` on was once stored, by the bell, and is gone. */
    vanishedUpTo(sequence: number): number | null {
      const marked = markedSequence()
      // The bell rings behind the commit: what it knows of is there by now, or is gone.
      const isGone = marked !== null && marked >= sequence && from.get(sequence) === null
      return isGone ? marked : null
    },
    notesFrom: startNoteReader(db),
    close: () => db.close(),
  }

  function placeOf(sequence: number): number | null {
    const near = upTo.get(sequence) as { sequence: number; count: number } | undefined
    const covers = near && near.sequence + near.count > sequence
    const at = covers ? near.sequence : (from.get(sequence) as number | null)
    if (at !== null && at < sequence && !covers)
      throw new Unsound(`the groups are not in order at ${at}`)
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

  function markedSequence(): number | null {
    const mark = readBell(bellFile(file))
    return mark?.store.equals(store!.id) ? mark.sequence : null
  }

  /**
   * Where a group ends whose own count cannot be trusted: at the next one, or at the bell's mark.
   */
  function endOf(sequence: number): number | null {
    const marked = markedSequence()
    const next = from.get(sequence + 1) as number | null
    if (next !== null) return next
    return marked !== null && marked >= sequence ? marked + 1 : null
  }
}

/** How many messages were buried in an outbox since a moment (ms since 1970). */
export function countDeadLetters(file: string, sinceMs: number): number {
  const db = openForReading(file, OUTBOX_ID)
  const count = db
    ?.prepare("SELECT count(*) FROM notes WHERE kind = 'deadletter' AND at >= ?")
    .pluck()
    .get(sinceMs)
  db?.close()
  return (count as number | undefined) ?? 0
}
