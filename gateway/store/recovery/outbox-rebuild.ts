import { basename } from 'node:path'
import type { Database } from 'better-sqlite3'
import { type InboxProgress, readInboxProgress } from '../delivery/inbox-reader.ts'
import { bellFile, readBell } from '../file/bell.ts'
import { readRows } from '../file/readonly-database.ts'
import {
  type GroupRow,
  THINNED_VERSION,
  unpackGroup,
  type ZoneRange,
} from '../groups/group-codec.ts'
import { prepareGroupInsert } from '../groups/group-table.ts'
import { createNoteLog, prepareNoteInsert } from '../notes/note-log.ts'
import { countInSpans, decodeRuns, isSpan, type Span, subtractSpans } from '../sequence/spans.ts'
import type { DamagedFile } from './recovery.ts'
import { openSalvage, type Salvage } from './salvage.ts'

/** A range of events that was not salvaged; its zones and epoch as far as they are known. */
type Lost = Span & { reason: string; zones?: ZoneRange[]; epoch?: number }

type Heads = Map<string, number>

/** Whose outbox it is, and where it is told how far the bridge has come. */
type Owner = { gateway: string; inboxFile: string }

const UNREADABLE = 'cannot be read any more'

/**
 * Fills a new outbox with everything that can still be read in a damaged one, under the same store
 * id, inside the open transaction. Each range of events that once was there, by its neighbours, the
 * bell or the inbox, and is not any more becomes a `quarantine` note, and the whole a `salvage`
 * note. Numbers go on behind all of them.
 */
export const refillOutbox = (owner: Owner) => (db: Database, wreck: DamagedFile) => {
  const { gateway, inboxFile } = owner
  const salvage = openSalvage(wreck.file)
  try {
    const found = salvage.store()
    const mark = readBell(bellFile(wreck.file))
    const id = found?.id ?? mark?.store ?? null
    const bell = mark && id?.equals(mark.store) ? mark : null
    const delivered = id && readInboxProgress(inboxFile, id)
    const notes = copyNotes(db, salvage)
    // A power cut leaves an old bell; only one that rang last knows the last epoch.
    const rung = bell && bell.noteSequence >= notes.last ? bell.epoch : notes.epoch
    const epoch = rung ?? found?.epoch ?? bell?.epoch ?? 0
    const groups = copyGroups(db, salvage, epoch, notes.headsOf.get(epoch) ?? new Map())
    const seen = Math.max(bell?.sequence ?? 0, delivered?.sequence ?? 0, notes.lastSequence)
    const last = Math.max(seen, groups.last)
    const lost = lostOf(groups, notes.explained, delivered, last)
    const lastNote = Math.max(bell?.noteSequence ?? 0, delivered?.noteSequence ?? 0, notes.last)
    const firstNote = Math.min(delivered?.nextNote ?? 1, notes.first)
    const allNotes = { from: firstNote, to: lastNote }
    const lostNotes = subtractSpans(allNotes, [...notes.present, ...notes.explainedNotes])
    if (id) {
      const row = { id, gateway, created: found?.created ?? wreck.atMs, epoch }
      db.prepare('INSERT INTO store VALUES (@id, @gateway, @created, @epoch)').run(row)
    }
    writeHeads(db, wreck.file, epoch, groups.heads, last)
    const incoming = copyIncoming(db, wreck.file)
    const writer = createNoteLog(db)
    writer.skipNumbersTo(lastNote)
    const file = basename(wreck.aside)
    for (const one of lost) writer.add('quarantine', wreck.atMs, { ...one, file })
    const tally = {
      ...{ groups: groups.count, events: groups.events, notes: notes.count, incoming },
      ...{ lostEvents: countInSpans(lost), lostNotes },
    }
    writer.add('salvage', wreck.atMs, { reason: wreck.reason, file, ...tally })
    return tally
  } finally {
    salvage.close()
  }
}

function copyNotes(db: Database, salvage: Salvage) {
  const insert = prepareNoteInsert(db)
  const present: Span[] = []
  const explained: Span[] = []
  const explainedNotes: Span[] = []
  const headsOf = new Map<number, Heads>()
  let [count, lastSequence] = [0, 0]
  let epoch: number | null = null
  for (const { row } of salvage.notes()) {
    insert.run(row)
    count++
    const before = present.at(-1)
    if (before && before.to + 1 === row.sequence) before.to = row.sequence
    else present.push({ from: row.sequence, to: row.sequence })
    if (row.kind === 'deadletter') continue
    const content = JSON.parse(row.body.toString())
    if (row.kind === 'heads') {
      lastSequence = Math.max(lastSequence, content.lastSequence)
      const heads = headsOf.get(content.epoch) ?? new Map()
      raise(heads, content.zones)
      headsOf.set(content.epoch, heads)
    }
    if (row.kind === 'epoch') {
      epoch = content.epoch as number
      lastSequence = Math.max(lastSequence, content.firstSequence - 1)
    }
    if (/^(hole|quarantine|tombstone)$/.test(row.kind)) {
      // Of what was thinned only these numbers went.
      if (content.numbers) explained.push(...decodeRuns(content.numbers))
      else if (isSpan(content)) explained.push(content)
      if (isSpan(content.notes)) explainedNotes.push(content.notes)
    }
    if (row.kind === 'salvage') explainedNotes.push(...content.lostNotes.filter(isSpan))
  }
  const [first, last] = [present[0]?.from ?? Number.POSITIVE_INFINITY, present.at(-1)?.to ?? 0]
  return { count, first, last, epoch, present, explained, explainedNotes, headsOf, lastSequence }
}

function copyGroups(db: Database, salvage: Salvage, epoch: number, heads: Heads) {
  const insert = prepareGroupInsert(db)
  const remember = db.prepare('INSERT INTO thinned VALUES (@sequence, @events, @bytes)')
  let bytesBefore: number | undefined
  const between: Lost[] = []
  let [count, events, first, next] = [0, 0, 0, 0]
  let epochBefore: number | undefined
  for (const { row, zones, isWhole } of salvage.groups()) {
    if (row.sequence < next) continue
    const isSame = row.epoch === epochBefore
    if (next > 0 && row.sequence > next) {
      const gap = { from: next, to: row.sequence - 1, reason: UNREADABLE }
      between.push({ ...gap, ...(isSame && { epoch: row.epoch }) })
    }
    first ||= row.sequence
    const bytesOfRow = row.sequence === next ? bytesBefore : undefined
    bytesBefore = row.bytesSoFar
    next = row.sequence + row.count
    epochBefore = row.epoch
    if (row.epoch === epoch)
      raise(
        heads,
        zones.map(one => [one.zone, one.first + one.count - 1]),
      )
    if (isWhole) {
      insert.run(row)
      count++
      const gone = goneOf(row, bytesOfRow)
      if (gone) remember.run(gone)
      events += row.count - (gone?.events ?? 0)
    } else {
      const { sequence: from } = row
      between.push({ from, to: next - 1, zones, epoch: row.epoch, reason: 'body checksum differs' })
    }
  }
  return { count, events, first, last: Math.max(0, next - 1), between, heads }
}

/** What went of a group; how many bytes, only as the total up to the group before tells. */
function goneOf(row: GroupRow, bytesBefore?: number) {
  const { sequence, version, count, bytesSoFar, header, body } = row
  const kept = version === THINNED_VERSION ? unpackGroup(row) : null
  if (!Array.isArray(kept)) return null
  const left = header.length + body.length
  const bytes = bytesBefore === undefined ? 0 : Math.max(0, bytesSoFar - bytesBefore - left)
  return { sequence, events: count - kept.length, bytes }
}

/** What is missing before, between and behind the groups that were found, and not yet explained. */
function lostOf(
  groups: ReturnType<typeof copyGroups>,
  explained: Span[],
  delivered: InboxProgress | null,
  last: number,
): Lost[] {
  const { first, between } = groups
  // What was delivered may be pruned, so that it is not missing; neither is it where a page that
  // nobody uses any more still has some of an older group.
  const from = delivered?.next ?? 1
  const all: Lost[] = [...between]
  if (first === 0) all.push({ from, to: last, reason: UNREADABLE })
  else {
    all.unshift({ from, to: first - 1, reason: UNREADABLE })
    all.push({ from: groups.last + 1, to: last, reason: UNREADABLE })
  }
  return all.flatMap(one => {
    const left = subtractSpans(one, [{ from: 1, to: from - 1 }, ...explained])
    if (left.length === 1 && countInSpans(left) === countInSpans([one])) return [one]
    const { zones, ...rest } = one
    return left.map(span => ({ ...rest, ...span }))
  })
}

/** The table of heads has no checksums, so it only tells of zones of which nothing else does. */
function writeHeads(db: Database, file: string, epoch: number, heads: Heads, last: number): void {
  const query = 'SELECT zone, zoneSequence FROM heads WHERE epoch = ?'
  for (const { zone, zoneSequence } of readRows<Head>(file, query, epoch)) {
    if (!heads.has(zone) && zoneSequence <= last) heads.set(zone, zoneSequence)
  }
  const insert = db.prepare('INSERT INTO heads VALUES (?, ?, ?)')
  for (const [zone, zoneSequence] of heads) insert.run(epoch, zone, zoneSequence)
  db.prepare('UPDATE headsUpTo SET sequence = ?').run(last)
}

type Head = { zone: string; zoneSequence: number }

function copyIncoming(db: Database, file: string): number {
  const rows = readRows(file, 'SELECT client, packet, hash FROM incoming')
  const insert = db.prepare('INSERT OR IGNORE INTO incoming VALUES (@client, @packet, @hash)')
  for (const row of rows) insert.run(row)
  return rows.length
}

function raise(heads: Heads, zones: Iterable<readonly [string, number]>): void {
  for (const [zone, zoneSequence] of zones) {
    heads.set(zone, Math.max(zoneSequence, heads.get(zone) ?? 0))
  }
}
