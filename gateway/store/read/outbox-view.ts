import type { Database, Statement } from 'better-sqlite3'
import { decodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import { openReadOnly } from '../file/readonly-database.ts'
import { OUTBOX_APPLICATION_ID } from '../file/schema.ts'
import {
  type GroupRow,
  readHeader,
  THINNED_VERSION,
  unpackGroup,
  type ZoneRange,
} from '../groups/group-codec.ts'
import { GROUP_HEAD_COLUMNS, type GroupHead } from '../groups/group-table.ts'

/** How many groups are looked at in one read; between two, the writer may checkpoint. */
const PAGE = 200
const NEWEST = Number.MAX_SAFE_INTEGER

/** What is looked for: received from a moment on and before another, in ms since 1970. */
export type EventFilter = { fromMs: number; toMs: number; zone?: string | undefined }

export const ANY_TIME = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY }

/**
 * What stands in a window: a group with its numbers, as its header tells, and of each zone how many
 * are there (some may be gone: it is thinned); one whose header cannot be trusted, so
 * that it may be within; numbers between two groups that are not there any more.
 */
export type OutboxScanItem =
  | { kind: 'group'; sequence: number; count: number; zones: ZoneRange[] }
  | { kind: 'unreadable'; sequence: number; reason: string }
  | { kind: 'gone'; from: number; to: number }

export type OutboxView = NonNullable<ReturnType<typeof openOutboxView>>

/**
 * Opens the outbox for somebody who looks at it while the gateway may write, or gives null while
 * there is none that can be read. Leaves no transaction open between two steps.
 */
export function openOutboxView(file: string) {
  const opened = openStore(file)
  if (!opened) return null
  const { db, store } = opened
  const pageBefore = db.prepare(
    `SELECT ${GROUP_HEAD_COLUMNS} FROM groups WHERE sequence < ? ORDER BY sequence DESC LIMIT ${PAGE}`,
  )
  const whole = db.prepare('SELECT * FROM groups WHERE sequence = ?')

  const leftOf = (head: GroupHead, zones: ZoneRange[]) => leftIn(whole, head, zones)
  const scanPages = createPageScan(db, leftOf)

  /** What stands in the window from a sequence on, oldest first, without reading bodies. */
  function* scanGroups(sequence: number, window: EventFilter): Generator<OutboxScanItem> {
    for (const found of scanPages(sequence, window)) yield* found
  }

  return {
    store: store.id,
    gateway: store.gateway,
    scanPages: scanPages,
    scanGroups: scanGroups,
    /** The events of a group that are within the window, or why they cannot be read. */
    eventsOf(sequence: number, window: EventFilter): SensorReading[] | { reason: string } {
      const row = whole.get(sequence) as GroupRow | undefined
      if (!row) return { reason: 'no longer in the outbox' }
      const stored = unpackGroup(row)
      if ('reason' in stored) return stored
      try {
        return stored
          .map(({ value }) => decodeEvent(value))
          .filter(event => isWithin(event, window))
      } catch (error) {
        return { reason: (error as Error).message }
      }
    },
    /**
     * The group in which the last `count` events begin, and how many more stand before
     * them in it. Damaged groups count for nothing.
     */
    findLastEvents(count: number, zone: string | undefined): { sequence: number; skip: number } {
      let [sequence, events, before] = [1, 0, Number.MAX_SAFE_INTEGER]
      for (;;) {
        const heads = pageBefore.all(before) as GroupHead[]
        for (const head of heads) {
          sequence = head.sequence
          before = sequence
          const zones = readHeader(head)
          if ('reason' in zones) continue
          for (const one of leftOf(head, zones))
            if (zone === undefined || one.zone === zone) events += one.count
          if (events >= count) return { sequence, skip: events - count }
        }
        if (heads.length < PAGE) return { sequence, skip: 0 }
      }
    },
    close: () => db.close(),
  }
}

/** Reads the heads of groups, a page at a time; `leftOf` tells what is there of their zones. */
function createPageScan(
  db: Database,
  leftOf: (head: GroupHead, zones: ZoneRange[]) => ZoneRange[],
) {
  const page = db.prepare(
    `SELECT ${GROUP_HEAD_COLUMNS} FROM groups WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ${PAGE}`,
  )

  /**
   * What stands in the window among the groups from a sequence on, up to another, oldest first,
   * without reading bodies: what was found in each page of the outbox, which may be nothing.
   */
  return function* pagesFrom(
    sequence: number,
    window: EventFilter,
    last = NEWEST,
  ): Generator<OutboxScanItem[]> {
    let next: number | null = sequence
    let from = sequence
    let before = Number.NEGATIVE_INFINITY
    for (;;) {
      const heads = page.all(from, last) as GroupHead[]
      const found: OutboxScanItem[] = []
      for (const head of heads) {
        const zones = readHeader(head)
        if ('reason' in zones) {
          // Neither its times nor its length can be trusted: it may be within.
          found.push({ kind: 'unreadable', sequence: head.sequence, reason: zones.reason })
          next = null
          continue
        }
        const { count, receivedFrom, receivedTo } = head
        const isAsked = receivedFrom > window.fromMs && before < window.toMs
        if (next !== null && head.sequence > next && isAsked) {
          found.push({ kind: 'gone', from: next, to: head.sequence - 1 })
        }
        next = head.sequence + count
        before = receivedTo
        if (receivedTo < window.fromMs || receivedFrom >= window.toMs) continue
        if (window.zone !== undefined && !zones.some(({ zone }) => zone === window.zone)) continue
        found.push({ kind: 'group', sequence: head.sequence, count, zones: leftOf(head, zones) })
      }
      yield found
      if (heads.length < PAGE) return
      from = heads.at(-1)!.sequence + 1
    }
  }
}

function isWithin({ receivedAt, zone }: SensorReading, window: EventFilter): boolean {
  const isThen = receivedAt >= window.fromMs && receivedAt < window.toMs
  return isThen && (window.zone === undefined || window.zone === zone)
}

function openStore(file: string) {
  const db = openReadOnly(file, OUTBOX_APPLICATION_ID)
  const store = db?.prepare('SELECT id, gateway FROM store').get() as
    | { id: Buffer; gateway: string }
    | undefined
  if (db && store) return { db, store }
  db?.close()
  return null
}

/** How many events of each zone are there; a group that is thinned does not tell by its header. */
function leftIn(
  whole: Statement,
  { sequence, version }: GroupHead,
  zones: ZoneRange[],
): ZoneRange[] {
  if (version !== THINNED_VERSION) return zones
  const row = whole.get(sequence) as GroupRow | undefined
  const stored = row ? unpackGroup(row) : []
  // What cannot be read is told as such by who reads it.
  if ('reason' in stored) return zones
  const counts = Map.groupBy(stored, ({ zone }) => zone)
  return zones.map(one => ({ ...one, count: counts.get(one.zone)?.length ?? 0 }))
}
