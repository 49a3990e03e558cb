import type { Database } from 'better-sqlite3'
import { packThinned, readHeader, type StoredEvent, type ZoneRange } from './group-codec.ts'
import { type GroupHead, prepareGroupReplace } from './group-table.ts'

/**
 * The limits of a row that replaces several groups: the bytes of its header, and the number of its
 * sequences.
 */
const HEADER_MAX_BYTES = 64 * 1024
const SEQUENCES_MAX = 1_000_000

/**
 * Whether one row may replace the two groups `a` and `b`, of which `b` is the later. Both headers
 * must be intact.
 */
export function canMerge(a: GroupHead, b: GroupHead): boolean {
  const isAdjacent = a.sequence + a.count === b.sequence && a.lane === b.lane && a.epoch === b.epoch
  if (!isAdjacent || !a.schema.equals(b.schema)) return false
  const isShort = a.header.length + b.header.length <= HEADER_MAX_BYTES
  return isShort && a.count + b.count <= SEQUENCES_MAX
}

/** Splits groups into runs of adjacent groups that one row may replace. */
export function mergeableRuns<T>(groups: readonly T[], headOf: (group: T) => GroupHead): T[][] {
  const runs: T[][] = []
  for (const group of groups) {
    const run = runs.at(-1)
    if (run && canMerge(headOf(run.at(-1)!), headOf(group))) run.push(group)
    else runs.push([group])
  }
  return runs
}

/**
 * Returns a function that replaces groups by one row with the kept events, inside the open
 * transaction.
 */
export function createGroupReplacer(db: Database) {
  const insert = prepareGroupReplace(db)
  const deleteRest = db.prepare('DELETE FROM groups WHERE sequence > ? AND sequence <= ?')
  const selectRemovedBytes = db
    .prepare('SELECT cast(total(bytes) AS INTEGER) FROM thinned WHERE sequence BETWEEN ? AND ?')
    .pluck()
  const deleteRemoved = db.prepare('DELETE FROM thinned WHERE sequence BETWEEN ? AND ?')
  const insertRemoved = db.prepare('INSERT INTO thinned VALUES (?, ?, ?)')
  /**
   * `groups` is one run of `mergeableRuns`; `kept` are the events of the run that remain, in order.
   */
  return (groups: GroupHead[], kept: StoredEvent[]): void => {
    const [first, last] = [groups[0]!, groups.at(-1)!]
    const { sequence, lane, epoch, schema } = first
    const count = last.sequence + last.count - sequence
    const receivedFrom = Math.min(...groups.map(group => group.receivedFrom))
    const receivedTo = Math.max(...groups.map(group => group.receivedTo))
    const { bytesSoFar } = last
    const facts = { sequence, count, lane, epoch, schema, receivedFrom, receivedTo, bytesSoFar }
    const row = packThinned(facts, mergeZones(groups), kept)
    const before = groups.reduce((sum, group) => sum + group.header.length + group.bodyBytes, 0)
    const after = row.header.length + row.body.length
    const removedBytes =
      before - after + (selectRemovedBytes.get(sequence, last.sequence) as number)
    deleteRest.run(sequence, last.sequence)
    deleteRemoved.run(sequence, last.sequence)
    insert.run(row)
    insertRemoved.run(sequence, count - kept.length, removedBytes)
  }
}

/**
 * Merges the zones of adjacent groups. In each zone, the zone sequences continue from group to
 * group.
 */
function mergeZones(groups: GroupHead[]): ZoneRange[] {
  const zones = new Map<string, ZoneRange>()
  for (const group of groups) {
    const ranges = readHeader(group)
    if ('reason' in ranges) throw new Error(ranges.reason)
    for (const range of ranges) {
      const known = zones.get(range.zone)
      if (known) known.count = range.first + range.count - known.first
      else zones.set(range.zone, { ...range })
    }
  }
  return [...zones.values()]
}
