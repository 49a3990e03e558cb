import type { Database } from 'better-sqlite3'
import { isDiskFull } from '../file/ballast.ts'
import type { NoteLog } from '../notes/note-log.ts'
import { splitEpochEnd } from '../notes/note-size.ts'
import { readHeader, type ZoneRange } from './group-codec.ts'
import { GROUP_HEAD_COLUMNS, type GroupHead } from './group-table.ts'
import type { createNumbering } from './numbering.ts'

/** Zones and their last zone sequences. */
type Heads = [zone: string, zoneSequence: number][]

/**
 * Stores the zone heads of this epoch in the table `heads` and in `heads` notes for the ledger. The
 * table is written at each heartbeat and before pruning, so that the next start reads only the
 * headers of the groups since the last write.
 */
export function createZoneHeads(
  db: Database,
  notes: NoteLog,
  numbering: ReturnType<typeof createNumbering>,
  epoch: number,
) {
  const upsert = db.prepare('INSERT OR REPLACE INTO heads VALUES (?, ?, ?)')
  const updateHeadsUpTo = db.prepare('UPDATE headsUpTo SET sequence = ?')
  const selectHeadsUpTo = db.prepare('SELECT sequence FROM headsUpTo').pluck()
  const deleteOtherEpochs = db.prepare('DELETE FROM heads WHERE epoch <> ?')
  const changedZones = new Set<string>()
  const changedHeads = () =>
    [...changedZones].map(zone => [zone, numbering.heads.get(zone)!] as const)
  const writeTable = (zones: ReturnType<typeof changedHeads>) => {
    deleteOtherEpochs.run(epoch)
    for (const [zone, zoneSequence] of zones) upsert.run(epoch, zone, zoneSequence)
    updateHeadsUpTo.run(numbering.last)
  }
  const write = () => {
    const zones = changedHeads()
    notes.transact(() => {
      if (zones.length > 0) writeTable(zones)
      for (const content of splitEpochEnd({ epoch, lastSequence: numbering.last, zones })) {
        notes.add({ kind: 'heads', content }, Date.now())
      }
    })
    changedZones.clear()
  }
  return {
    /** Records that a commit has events of these zones. */
    touch(zones: ZoneRange[]): void {
      for (const { zone } of zones) changedZones.add(zone)
    },
    /**
     * Call this before groups up to a sequence are deleted, inside the same open transaction.
     * Writes the table when the headers of these groups contain heads that the table does not
     * contain.
     */
    saveBeforePruning(sequence: number): void {
      if ((selectHeadsUpTo.get() as number) < sequence) writeTable(changedHeads())
    },
    /**
     * Writes the table and the `heads` notes in one transaction. Without new events the only note
     * names no zones and the same last sequence as before: the gateway is alive and accepted
     * nothing more.
     */
    write,
    /**
     * Writes the same if there are new events; returns whether something is written. Writes nothing
     * on a full disk: the next epoch then reads the zone heads from the headers of the groups.
     */
    writeLast(): boolean {
      if (changedZones.size === 0) return false
      try {
        write()
      } catch (error) {
        if (!isDiskFull(error)) throw error
        return false
      }
      return true
    },
  }
}

/**
 * Reads the zone heads of a past epoch from the table, and from the headers of the groups that were
 * stored since the table was written.
 */
export function readZoneHeads(db: Database, epoch: number): Heads {
  const since = db.prepare('SELECT sequence FROM headsUpTo').pluck().get() as number
  const zones = new Map(
    db.prepare('SELECT zone, zoneSequence FROM heads WHERE epoch = ?').raw().all(epoch) as Heads,
  )
  const rows = db.prepare(
    `SELECT ${GROUP_HEAD_COLUMNS} FROM groups WHERE sequence > ? AND epoch = ? ORDER BY sequence`,
  )
  for (const row of rows.iterate(since, epoch) as Iterable<GroupHead>) {
    const ranges = readHeader(row)
    if ('reason' in ranges) continue
    for (const { zone, first, count } of ranges) zones.set(zone, first + count - 1)
  }
  return [...zones]
}
