import type { Database } from 'better-sqlite3'
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

/**
 * How many groups one query reads. Pages are small, because the writer's checkpoints can finish
 * only between two queries.
 */
const PAGE_GROUPS = 200
const NEWEST = Number.MAX_SAFE_INTEGER

/** Events received at `fromMs` or later and before `toMs` (ms since 1970), of one zone or all. */
export type EventFilter = { fromMs: number; toMs: number; zone?: string | undefined }

export const ANY_TIME = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY }

/**
 * One result of a scan. `group`: a group that may have matching events, with the number of stored
 * events of each zone (fewer than `count` in total when the group is thinned). `unreadable`: a
 * group whose header is damaged, so that it may have matching events. `gone`: sequences between two
 * groups that are no longer stored.
 */
export type OutboxScanItem =
  | { kind: 'group'; sequence: number; count: number; zones: ZoneRange[] }
  | { kind: 'unreadable'; sequence: number; reason: string }
  | { kind: 'gone'; from: number; to: number }

export type OutboxView = NonNullable<ReturnType<typeof openOutboxView>>

/** The last events of the outbox: from the event after `skip` events of the group `sequence` on. */
export type LastEvents = { sequence: number; skip: number; last: number }

type StoredZones = (head: GroupHead, zones: ZoneRange[]) => ZoneRange[]

/**
 * Opens the outbox for inspection while the gateway may write; null when there is no outbox that
 * can be read. No transaction stays open between two calls.
 */
export function openOutboxView(file: string) {
  const opened = openStore(file)
  if (!opened) return null
  const { db, store } = opened
  const selectBefore = db.prepare(
    `SELECT ${GROUP_HEAD_COLUMNS} FROM groups
     WHERE sequence < ? ORDER BY sequence DESC LIMIT ${PAGE_GROUPS}`,
  )
  const selectGroup = db.prepare('SELECT * FROM groups WHERE sequence = ?')
  const findGroup = (sequence: number) => selectGroup.get(sequence) as GroupRow | undefined
  const storedZones: StoredZones = (head, zones) => countStored(findGroup, head, zones)
  const scanPages = createPageScan(db, storedZones)

  return {
    store: store.id,
    gateway: store.gateway,
    scanPages,
    /** Scans the groups from `sequence` to `last`, oldest first, without reading bodies. */
    *scanGroups(sequence: number, filter: EventFilter, last?: number): Generator<OutboxScanItem> {
      for (const page of scanPages(sequence, filter, last)) yield* page
    },
    /**
     * Returns the events of a group that match the filter, or the reason why they cannot be read.
     */
    eventsOf(sequence: number, filter: EventFilter): SensorReading[] | { reason: string } {
      const row = findGroup(sequence)
      if (!row) return { reason: 'no longer in the outbox' }
      const stored = unpackGroup(row)
      if ('reason' in stored) return stored
      try {
        return stored
          .map(({ value }) => decodeEvent(value))
          .filter(event => matchesFilter(event, filter))
      } catch (error) {
        return { reason: (error as Error).message }
      }
    },
    /**
     * Returns the group that contains the first of the last `count` events, and how many events of
     * the group come before that event. Events of damaged groups are not counted. `last` is the
     * newest group of that moment.
     */
    findLastEvents(count: number, zone: string | undefined): LastEvents {
      let [sequence, events, before] = [1, 0, NEWEST]
      let last = 0
      for (;;) {
        const heads = selectBefore.all(before) as GroupHead[]
        if (before === NEWEST) last = heads[0]?.sequence ?? 0
        for (const head of heads) {
          sequence = head.sequence
          before = sequence
          const zones = readHeader(head)
          if ('reason' in zones) continue
          for (const range of storedZones(head, zones)) {
            if (zone === undefined || range.zone === zone) events += range.count
          }
          if (events >= count) return { sequence, skip: events - count, last }
        }
        if (heads.length < PAGE_GROUPS) return { sequence, skip: 0, last }
      }
    },
    close: () => db.close(),
  }
}

/** Creates the function that scans the heads of groups, one page at a time. */
function createPageScan(db: Database, storedZones: StoredZones) {
  const selectPage = db.prepare(
    `SELECT ${GROUP_HEAD_COLUMNS} FROM groups
     WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ${PAGE_GROUPS}`,
  )

  /**
   * Scans the groups from `sequence` to `last`, oldest first, without reading bodies. Yields the
   * items of each page; for a page without matches, an empty array.
   */
  return function* scanPages(
    sequence: number,
    filter: EventFilter,
    last = NEWEST,
  ): Generator<OutboxScanItem[]> {
    let next: number | null = sequence
    let from = sequence
    let previousTo = Number.NEGATIVE_INFINITY
    for (;;) {
      const heads = selectPage.all(from, last) as GroupHead[]
      const items: OutboxScanItem[] = []
      for (const head of heads) {
        const zones = readHeader(head)
        if ('reason' in zones) {
          // Neither the times nor the count of the group can be trusted, so the group may have
          // matching events.
          items.push({ kind: 'unreadable', sequence: head.sequence, reason: zones.reason })
          next = null
          continue
        }
        const { count, receivedFrom, receivedTo } = head
        const isInTime = receivedFrom > filter.fromMs && previousTo < filter.toMs
        if (next !== null && head.sequence > next && isInTime) {
          items.push({ kind: 'gone', from: next, to: head.sequence - 1 })
        }
        next = head.sequence + count
        previousTo = receivedTo
        if (receivedTo < filter.fromMs || receivedFrom >= filter.toMs) continue
        if (filter.zone !== undefined && !zones.some(({ zone }) => zone === filter.zone)) continue
        items.push({
          kind: 'group',
          sequence: head.sequence,
          count,
          zones: storedZones(head, zones),
        })
      }
      yield items
      if (heads.length < PAGE_GROUPS) return
      from = heads.at(-1)!.sequence + 1
    }
  }
}

function matchesFilter({ receivedAt, zone }: SensorReading, filter: EventFilter): boolean {
  const isInTime = receivedAt >= filter.fromMs && receivedAt < filter.toMs
  return isInTime && (filter.zone === undefined || filter.zone === zone)
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

/**
 * Counts the stored events of each zone. For a thinned group the events are read, because the
 * header of the group still counts the removed events.
 */
function countStored(
  findGroup: (sequence: number) => GroupRow | undefined,
  { sequence, version }: GroupHead,
  zones: ZoneRange[],
): ZoneRange[] {
  if (version !== THINNED_VERSION) return zones
  const row = findGroup(sequence)
  const stored = row ? unpackGroup(row) : []
  // The caller learns that the group is unreadable when it reads the events.
  if ('reason' in stored) return zones
  const byZone = Map.groupBy(stored, ({ zone }) => zone)
  return zones.map(range => ({ ...range, count: byZone.get(range.zone)?.length ?? 0 }))
}
