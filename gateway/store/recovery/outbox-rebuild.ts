import { basename } from 'node:path'
import type { Database } from 'better-sqlite3'
import { type InboxProgress, readInboxProgress } from '../delivery/inbox-reader.ts'
import { drawEpoch, type Owner } from '../epoch.ts'
import { bellFile, readBell } from '../file/bell.ts'
import { readRows } from '../file/readonly-database.ts'
import { drawGatewayId } from '../gateway-id.ts'
import {
  type GroupRow,
  THINNED_VERSION,
  unpackGroup,
  type ZoneRange,
} from '../groups/group-codec.ts'
import { prepareGroupInsert } from '../groups/group-table.ts'
import { decodeNoteBody } from '../notes/note-kinds.ts'
import { createNoteLog, prepareNoteInsert } from '../notes/note-log.ts'
import { UNKNOWN_TIME } from '../qos2-unreleased.ts'
import { countInSpans, decodeRuns, isSpan, type Span, subtractSpans } from '../sequence/spans.ts'
import type { DamagedFile } from './recovery.ts'
import { openSalvage, type Salvage } from './salvage.ts'

/** Events that could not be salvaged, with their zones and epoch if these are known. */
type LostEvents = Span & { reason: string; zones?: ZoneRange[]; epoch?: number }

/** The last zone sequence of each zone. */
type ZoneHeads = Map<string, number>

const UNREADABLE = 'cannot be read any more'

/**
 * Fills a new outbox with everything that can be salvaged from a damaged one, under the same store
 * id, inside the open transaction. The salvaged groups, the bell and the inbox show which events
 * once existed. Each span of these events that is lost is named in a `quarantine` note. A `salvage`
 * note contains the counts of the rebuild. New sequences and note numbers start after all old ones.
 */
export const refillOutbox = (owner: Owner) => (db: Database, damaged: DamagedFile) => {
  const { gateway: configured, inboxFile } = owner
  const salvage = openSalvage(damaged.file)
  try {
    const store = salvage.store()
    const mark = readBell(bellFile(damaged.file))
    const id = store?.id ?? mark?.store ?? null
    const bell = mark && id?.equals(mark.store) ? mark : null
    const delivered = id && readInboxProgress(inboxFile, id)
    const notes = copyNotes(db, salvage)
    // After a power cut the bell may be old. The bell's epoch is used only when the bell is as new
    // as the last note.
    const newestEpoch = bell && bell.noteSequence >= notes.last ? bell.epoch : notes.epoch
    const epoch = newestEpoch ?? store?.epoch ?? bell?.epoch ?? 0
    const groups = copyGroups(db, salvage, epoch, notes.headsOf.get(epoch) ?? new Map())
    const seen = Math.max(bell?.sequence ?? 0, delivered?.sequence ?? 0, notes.lastSequence)
    const last = Math.max(seen, groups.last)
    const lost = findLostEvents(groups, notes.explained, delivered, last)
    const lastNote = Math.max(bell?.noteSequence ?? 0, delivered?.noteSequence ?? 0, notes.last)
    const firstNote = Math.min(delivered?.nextNote ?? 1, notes.first)
    const allNotes = { from: firstNote, to: lastNote }
    const lostNotes = subtractSpans(allNotes, [...notes.present, ...notes.explainedNotes])
    if (id) {
      // The stored id stays until the next run begins, which reports a rename. The row of the store
      // has no checksum, so the `epoch` note of the same epoch is trusted more.
      const ofSameEpoch = store?.epoch === notes.epoch ? notes.gateway : null
      const stored = ofSameEpoch ?? store?.gateway ?? notes.gateway
      const gateway = stored ?? configured ?? drawGatewayId(id)
      const row = { id, gateway, created: store?.created ?? damaged.atMs, epoch }
      db.prepare('INSERT INTO store VALUES (@id, @gateway, @created, @epoch)').run(row)
    }
    writeHeads(db, damaged.file, epoch, groups.heads, last)
    const incoming = copyIncoming(db, damaged.file)
    const noteLog = createNoteLog(db)
    noteLog.setWriter({ gateway: null, run: drawEpoch() })
    noteLog.skipNumbersTo(lastNote)
    const file = basename(damaged.aside)
    for (const events of lost) {
      noteLog.add({ kind: 'quarantine', content: { ...events, file } }, damaged.atMs)
    }
    const tally = {
      ...{ groups: groups.count, events: groups.events, notes: notes.count, incoming },
      ...{ lostEvents: countInSpans(lost), lostNotes },
    }
    const content = { reason: damaged.reason, file, ...tally }
    noteLog.add({ kind: 'salvage', content }, damaged.atMs)
    return tally
  } finally {
    salvage.close()
  }
}

/** Copies all notes, and collects the sequences, zone heads and note numbers that they name. */
function copyNotes(db: Database, salvage: Salvage) {
  const insert = prepareNoteInsert(db)
  const present: Span[] = []
  const explained: Span[] = []
  const explainedNotes: Span[] = []
  const headsOf = new Map<number, ZoneHeads>()
  let [count, lastSequence] = [0, 0]
  let [epoch, gateway]: [number | null, string | null] = [null, null]
  for (const { row } of salvage.notes()) {
    insert.run(row)
    count++
    const before = present.at(-1)
    if (before && before.to + 1 === row.sequence) before.to = row.sequence
    else present.push({ from: row.sequence, to: row.sequence })
    if (row.kind === 'deadletter') continue
    const note = decodeNoteBody(row)
    const { kind, content } = note
    if (kind === 'heads') {
      lastSequence = Math.max(lastSequence, content.lastSequence)
      const heads = headsOf.get(content.epoch) ?? new Map()
      raiseHeads(heads, content.zones)
      headsOf.set(content.epoch, heads)
    }
    if (kind === 'epoch') {
      epoch = content.epoch
      gateway = note.gateway ?? gateway
      lastSequence = Math.max(lastSequence, content.firstSequence - 1)
    }
    if (kind === 'hole' || kind === 'quarantine' || kind === 'tombstone') {
      // A tombstone of thinned events lists the deleted sequences of its span. The other sequences
      // of the span are not explained by it.
      if ('numbers' in content) explained.push(...decodeRuns(content.numbers))
      else if (isSpan(content)) explained.push(content)
      if ('notes' in content && isSpan(content.notes)) explainedNotes.push(content.notes)
    }
    if (kind === 'salvage') explainedNotes.push(...content.lostNotes.filter(isSpan))
  }
  const [first, last] = [present[0]?.from ?? Number.POSITIVE_INFINITY, present.at(-1)?.to ?? 0]
  const writer = { epoch, gateway }
  return {
    count,
    first,
    last,
    ...writer,
    present,
    explained,
    explainedNotes,
    headsOf,
    lastSequence,
  }
}

/** Copies all intact groups, and collects the gaps between them and the damaged groups. */
function copyGroups(db: Database, salvage: Salvage, epoch: number, heads: ZoneHeads) {
  const insert = prepareGroupInsert(db)
  const insertThinned = db.prepare('INSERT INTO thinned VALUES (@sequence, @events, @bytes)')
  let bytesBefore: number | undefined
  const lost: LostEvents[] = []
  let [count, events, first, next] = [0, 0, 0, 0]
  let epochBefore: number | undefined
  for (const { row, zones, isIntact } of salvage.groups()) {
    if (row.sequence < next) continue
    const isSameEpoch = row.epoch === epochBefore
    if (next > 0 && row.sequence > next) {
      const gap = { from: next, to: row.sequence - 1, reason: UNREADABLE }
      lost.push({ ...gap, ...(isSameEpoch && { epoch: row.epoch }) })
    }
    first ||= row.sequence
    const bytesBeforeRow = row.sequence === next ? bytesBefore : undefined
    bytesBefore = row.bytesSoFar
    next = row.sequence + row.count
    epochBefore = row.epoch
    if (row.epoch === epoch)
      raiseHeads(
        heads,
        zones.map(range => [range.zone, range.first + range.count - 1]),
      )
    if (isIntact) {
      insert.run(row)
      count++
      const thinned = thinnedFrom(row, bytesBeforeRow)
      if (thinned) insertThinned.run(thinned)
      events += row.count - (thinned?.events ?? 0)
    } else {
      const { sequence: from } = row
      lost.push({ from, to: next - 1, zones, epoch: row.epoch, reason: 'body checksum differs' })
    }
  }
  return { count, events, first, last: Math.max(0, next - 1), lost, heads }
}

/**
 * Computes the events and bytes that thinning removed from a group; null when the group was not
 * thinned. The bytes are computed from the running total before the group, and are 0 when that
 * total is unknown.
 */
function thinnedFrom(row: GroupRow, bytesBefore?: number) {
  const { sequence, version, count, bytesSoFar, header, body } = row
  const kept = version === THINNED_VERSION ? unpackGroup(row) : null
  if (!Array.isArray(kept)) return null
  const keptBytes = header.length + body.length
  const bytes = bytesBefore === undefined ? 0 : Math.max(0, bytesSoFar - bytesBefore - keptBytes)
  return { sequence, events: count - kept.length, bytes }
}

/**
 * Finds the events that are missing before, between and after the salvaged groups and that no note
 * explains.
 */
function findLostEvents(
  groups: ReturnType<typeof copyGroups>,
  explained: Span[],
  delivered: InboxProgress | null,
  last: number,
): LostEvents[] {
  const { first } = groups
  // Events before the inbox's position are delivered. They may be pruned and are not reported as
  // lost, even where a free page still contains a part of an older group.
  const from = delivered?.next ?? 1
  const missing: LostEvents[] = [...groups.lost]
  if (first === 0) missing.push({ from, to: last, reason: UNREADABLE })
  else {
    missing.unshift({ from, to: first - 1, reason: UNREADABLE })
    missing.push({ from: groups.last + 1, to: last, reason: UNREADABLE })
  }
  return missing.flatMap(events => {
    const unexplained = subtractSpans(events, [{ from: 1, to: from - 1 }, ...explained])
    const isUntouched =
      unexplained.length === 1 && countInSpans(unexplained) === countInSpans([events])
    if (isUntouched) return [events]
    const { zones, ...rest } = events
    return unexplained.map(span => ({ ...rest, ...span }))
  })
}

/**
 * Writes the zone heads. The table of the damaged file has no checksums, so it is used only for
 * zones that neither a note nor a group names.
 */
function writeHeads(
  db: Database,
  file: string,
  epoch: number,
  heads: ZoneHeads,
  last: number,
): void {
  const query = 'SELECT zone, zoneSequence FROM heads WHERE epoch = ?'
  for (const { zone, zoneSequence } of readRows<HeadRow>(file, query, epoch)) {
    if (!heads.has(zone) && zoneSequence <= last) heads.set(zone, zoneSequence)
  }
  const insert = db.prepare('INSERT INTO heads VALUES (?, ?, ?)')
  for (const [zone, zoneSequence] of heads) insert.run(epoch, zone, zoneSequence)
  db.prepare('UPDATE headsUpTo SET sequence = ?').run(last)
}

type HeadRow = { zone: string; zoneSequence: number }

function copyIncoming(db: Database, file: string): number {
  // The damaged file may have been written before the table had the column `at`.
  const rows = readRows<{ at?: number }>(file, 'SELECT * FROM incoming')
  const insert = db.prepare('INSERT OR IGNORE INTO incoming VALUES (@client, @packet, @hash, @at)')
  for (const row of rows) insert.run({ at: UNKNOWN_TIME, ...row })
  return rows.length
}

function raiseHeads(heads: ZoneHeads, zones: Iterable<readonly [string, number]>): void {
  for (const [zone, zoneSequence] of zones) {
    heads.set(zone, Math.max(zoneSequence, heads.get(zone) ?? 0))
  }
}
