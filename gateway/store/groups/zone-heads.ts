import type { Database } from 'better-sqlite3'
import type { NoteLog } from '../notes/note-log.ts'
import { readHeader, type ZoneRange } from './group-codec.ts'
import { GROUP_HEAD_COLUMNS, type GroupHead } from './group-table.ts'
import type { createNumbering } from './numbering.ts'

type Heads = [zone: string, zoneSequence: number][]

/**
 * Keeps how far each zone of this epoch has come: the table `heads`, written now and then, so that
 * the next start reads only the headers since, and the `heads` notes that tell the cloud.
 */
export function createZoneHeads(
  db: Database,
  notes: NoteLog,
  numbering: ReturnType<typeof createNumbering>,
  epoch: number,
) {
  const upsert = db.prepare('INSERT OR REPLACE INTO heads VALUES (?, ?, ?)')
  const mark = db.prepare('UPDATE headsUpTo SET sequence = ?')
  const marked = db.prepare('SELECT sequence FROM headsUpTo').pluck()
  const drop = db.prepare('DELETE FROM heads WHERE epoch <> ?')
  const moved = new Set<string>()
  const movedHeads = () => [...moved].map(zone => [zone, numbering.heads.get(zone)!] as const)
  const writeTable = (zones: ReturnType<typeof movedHeads>) => {
    drop.run(epoch)
    for (const [zone, zoneSequence] of zones) upsert.run(epoch, zone, zoneSequence)
    mark.run(numbering.last)
  }
  return {
    touch(zones: ZoneRange[]): void {
      for (const { zone } of zones) moved.add(zone)
    },
    /**
     * Writes the table inside the open transaction when headers up to a number are about to go that
     * tell of heads which it does not have.
     */
    outlive(sequence: number): void {
      if ((marked.get() as number) < sequence) writeTable(movedHeads())
    },
    /** Writes table and note in one commit; false when no zone moved since the last time. */
    write(): boolean {
      if (moved.size === 0) return false
      const zones = movedHeads()
      notes.transact(() => {
        writeTable(zones)
        notes.add('heads', Date.now(), { epoch, lastSequence: numbering.last, zones })
      })
      moved.clear()
      return true
    },
  }
}

/** How far the zones of a past epoch had come: the table, and the headers of the groups since. */
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
