import type { Database } from 'better-sqlite3'
import { packThinned, readHeader, type StoredEvent, type ZoneRange } from './group-codec.ts'
import { type GroupHead, prepareGroupReplace } from './group-table.ts'

/** A row that stands for many groups gets no longer than this. */
const HEADER_MAX_BYTES = 64 * 1024
const NUMBERS_MAX = 1_000_000

/** Whether what is left of two groups may stand in one row; both headers are whole. */
export function canMerge(a: GroupHead, b: GroupHead): boolean {
  const isNext = a.sequence + a.count === b.sequence && a.lane === b.lane && a.epoch === b.epoch
  if (!isNext || !a.schema.equals(b.schema)) return false
  const isShort = a.header.length + b.header.length <= HEADER_MAX_BYTES
  return isShort && a.count + b.count <= NUMBERS_MAX
}

/** Parts groups into runs of neighbours that may stand in one row. */
export function mergeableRuns<T>(groups: readonly T[], headOf: (group: T) => GroupHead): T[][] {
  const runs: T[][] = []
  for (const group of groups) {
    const run = runs.at(-1)
    if (run && canMerge(headOf(run.at(-1)!), headOf(group))) run.push(group)
    else runs.push([group])
  }
  return runs
}

/** Puts in the place of groups what is left of them, inside the open transaction. */
export function createGroupReplacer(db: Database) {
  const insert = prepareGroupReplace(db)
  const removeRest = db.prepare('DELETE FROM groups WHERE sequence > ? AND sequence <= ?')
  const goneBefore = db
    .prepare('SELECT cast(total(bytes) AS INTEGER) FROM thinned WHERE sequence BETWEEN ? AND ?')
    .pluck()
  const forget = db.prepare('DELETE FROM thinned WHERE sequence BETWEEN ? AND ?')
  const remember = db.prepare('INSERT INTO thinned VALUES (?, ?, ?)')
  /** Replaces neighbours, any two of which may join, by one row with these of their events. */
  return (groups: GroupHead[], kept: StoredEvent[]): void => {
    const [first, last] = [groups[0]!, groups.at(-1)!]
    const { sequence, lane, epoch, schema } = first
    const count = last.sequence + last.count - sequence
    const receivedFrom = Math.min(...groups.map(group => group.receivedFrom))
    const receivedTo = Math.max(...groups.map(group => group.receivedTo))
    const { bytesSoFar } = last
    const facts = { sequence, count, lane, epoch, schema, receivedFrom, receivedTo, bytesSoFar }
    const row = packThinned(facts, joinZones(groups), kept)
    const before = groups.reduce((sum, group) => sum + group.header.length + group.bodyBytes, 0)
    const after = row.header.length + row.body.length
    const gone = before - after + (goneBefore.get(sequence, last.sequence) as number)
    removeRest.run(sequence, last.sequence)
    forget.run(sequence, last.sequence)
    insert.run(row)
    remember.run(sequence, count - kept.length, gone)
  }
}

/** Numbers of neighbours go on from one to the next, in each zone. */
function joinZones(groups: GroupHead[]): ZoneRange[] {
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
