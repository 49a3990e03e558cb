import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { checksum } from '../file/checksum.ts'

/** The format version of a complete group; docs/internals/on-disk.md describes the format. */
export const GROUP_VERSION = 1
/** The format version of a thinned row: some events of one or several groups, or none. */
export const THINNED_VERSION = 2
/** `isEmptied` as an SQL condition on a row of the table. */
export const IS_EMPTIED_SQL = `version = ${THINNED_VERSION} AND length(body) = 0`
const ENTRY_BYTES = 6
const THINNED_COUNT_BYTES = 4
const THINNED_ENTRY_BYTES = 10
const CHUNK_SPARE_BYTES = 1024

/** A zone's zone sequences in a group: `count` numbers from `first` on. */
export type ZoneRange = { zone: string; first: number; count: number }

/**
 * A row of the table `groups`. `sequence` is the sequence of the first event. Times are in ms since
 * 1970. `bytesSoFar` is the running total of header and body bytes, with this row included.
 */
export type GroupRow = {
  sequence: number
  count: number
  lane: string
  epoch: number
  receivedFrom: number
  receivedTo: number
  version: number
  schema: Buffer
  bytesSoFar: number
  header: Buffer
  headerCrc: number
  bodyCrc: number
  body: Buffer
}

/** A stored event: its zone and its Avro single-object encoding, a view of the group's buffer. */
export type StoredEvent = { sequence: number; zone: string; value: Buffer }

/** The columns of a group that do not depend on the bytes of its events. */
export type GroupFacts = Omit<
  GroupRow,
  'version' | 'header' | 'headerCrc' | 'body' | 'bodyCrc' | 'bytesSoFar'
>

/**
 * Packs the events of one commit and lane into a row. `zoneOf[i]` is the index of event i's zone in
 * `zones`, and `lengths[i]` the event's length in bytes in `data`. `bytesBefore` is the store's
 * running total before this group.
 */
export function packGroup(
  facts: GroupFacts,
  zones: ZoneRange[],
  zoneOf: number[],
  lengths: number[],
  data: Uint8Array,
  bytesBefore: number,
): GroupRow {
  const plain = Buffer.allocUnsafe(lengths.length * ENTRY_BYTES + data.length)
  for (let index = 0, at = 0; index < lengths.length; index++, at += ENTRY_BYTES) {
    plain.writeUInt16LE(zoneOf[index]!, at)
    plain.writeUInt32LE(lengths[index]!, at + 2)
  }
  plain.set(data, lengths.length * ENTRY_BYTES)
  // The chunk size makes the result fit in one chunk. The default chunk size of 64 KiB needs a
  // third more time and allocates much more memory.
  const body = zstdCompressSync(plain, { chunkSize: plain.length + CHUNK_SPARE_BYTES })
  const header = packHeader(zones)
  const bytesSoFar = bytesBefore + body.length + header.length
  return withChecksums({ ...facts, version: GROUP_VERSION, header, bytesSoFar, body })
}

/**
 * Packs the kept events of adjacent groups of one epoch and lane into one row, which covers all
 * sequences of these groups. Each event keeps its sequence and bytes. `zones` contains the zone
 * sequences of all events, with removed events included.
 */
export function packThinned(
  facts: GroupFacts & { bytesSoFar: number },
  zones: ZoneRange[],
  kept: StoredEvent[],
): GroupRow {
  const header = packHeader(zones)
  const version = THINNED_VERSION
  if (kept.length === 0) return withChecksums({ ...facts, version, header, body: Buffer.alloc(0) })
  const indexes = new Map(zones.map(({ zone }, index) => [zone, index]))
  const entries = Buffer.alloc(THINNED_COUNT_BYTES + kept.length * THINNED_ENTRY_BYTES)
  entries.writeUInt32LE(kept.length)
  for (const [index, { sequence, zone, value }] of kept.entries()) {
    const at = THINNED_COUNT_BYTES + index * THINNED_ENTRY_BYTES
    entries.writeUInt32LE(sequence - facts.sequence, at)
    entries.writeUInt16LE(indexes.get(zone)!, at + 4)
    entries.writeUInt32LE(value.length, at + 6)
  }
  const plain = Buffer.concat([entries, ...kept.map(({ value }) => value)])
  const body = zstdCompressSync(plain, { chunkSize: plain.length + CHUNK_SPARE_BYTES })
  return withChecksums({ ...facts, version, header, body })
}

function packHeader(zones: ZoneRange[]): Buffer {
  return Buffer.from(JSON.stringify(zones.map(({ zone, first, count }) => [zone, first, count])))
}

function withChecksums(row: Omit<GroupRow, 'headerCrc' | 'bodyCrc'>): GroupRow {
  return { ...row, bodyCrc: checksum(row.body), headerCrc: headerChecksum(row) }
}

/** Returns the zones of a group, or the reason why the group's header cannot be trusted. */
export function readHeader(row: Omit<GroupRow, 'body'>): ZoneRange[] | { reason: string } {
  if (!isHeaderIntact(row)) return { reason: 'header checksum differs' }
  const isKnown = row.version === GROUP_VERSION || row.version === THINNED_VERSION
  if (!isKnown) return { reason: `group version ${row.version} is not known` }
  const zones = JSON.parse(row.header.toString()) as [string, number, number][]
  return zones.map(([zone, first, count]) => ({ zone, first, count }))
}

/**
 * All events of a group in order, or the reason why the group is unreadable. Never returns a
 * damaged event.
 */
export function unpackGroup(row: GroupRow): StoredEvent[] | { reason: string } {
  const zones = readHeader(row)
  if ('reason' in zones) return zones
  if (!isBodyIntact(row)) return { reason: 'body checksum differs' }
  if (row.version === THINNED_VERSION) return unpackThinned(row, zones)
  const plain = zstdDecompressSync(row.body)
  const events: StoredEvent[] = new Array(row.count)
  let from = row.count * ENTRY_BYTES
  for (let index = 0, at = 0; index < row.count; index++, at += ENTRY_BYTES) {
    const to = from + plain.readUInt32LE(at + 2)
    const { zone } = zones[plain.readUInt16LE(at)]!
    events[index] = { sequence: row.sequence + index, zone, value: plain.subarray(from, to) }
    from = to
  }
  return events
}

function unpackThinned(row: GroupRow, zones: ZoneRange[]): StoredEvent[] {
  if (row.body.length === 0) return []
  const plain = zstdDecompressSync(row.body)
  const count = plain.readUInt32LE()
  let from = THINNED_COUNT_BYTES + count * THINNED_ENTRY_BYTES
  return Array.from({ length: count }, (_, index) => {
    const at = THINNED_COUNT_BYTES + index * THINNED_ENTRY_BYTES
    const value = plain.subarray(from, from + plain.readUInt32LE(at + 6))
    from += value.length
    const { zone } = zones[plain.readUInt16LE(at + 4)]!
    return { sequence: row.sequence + plain.readUInt32LE(at), zone, value }
  })
}

/** Whether all events of a row were removed. */
export function isEmptied(row: { version: number; bodyBytes: number }): boolean {
  return row.version === THINNED_VERSION && row.bodyBytes === 0
}

/** Whether all columns of a row except the body match the stored checksum. */
export function isHeaderIntact(row: Omit<GroupRow, 'body'>): boolean {
  return headerChecksum(row) === row.headerCrc
}

/** Whether the body of a row matches the stored checksum. */
export function isBodyIntact({ body, bodyCrc }: Pick<GroupRow, 'body' | 'bodyCrc'>): boolean {
  return checksum(body) === bodyCrc
}

function headerChecksum(row: Omit<GroupRow, 'body' | 'bodyCrc' | 'headerCrc'>): number {
  const { sequence, count, lane, epoch, receivedFrom, receivedTo, version, bytesSoFar } = row
  const fields = [sequence, count, lane, epoch, receivedFrom, receivedTo, version, bytesSoFar]
  return checksum(JSON.stringify(fields), row.schema, row.header)
}
