import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { checksum } from './checksum.ts'

/** The version of header and body as they are described in ARCHITECTURE.md, "A group". */
export const GROUP_VERSION = 1
const ENTRY_BYTES = 6
const CHUNK_SPARE_BYTES = 1024

/** The zone sequences that a zone has in a group: `count` of them, from `first` on. */
export type ZoneRange = { zone: string; first: number; count: number }

/** A row of the table `groups`. */
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

/** One stored event: its zone and its single-object encoding, a view of the group's buffer. */
export type StoredEvent = { sequence: number; zone: string; value: Buffer }

/** What a group says of itself, without its events. */
export type GroupFacts = Omit<
  GroupRow,
  'version' | 'header' | 'headerCrc' | 'body' | 'bodyCrc' | 'bytesSoFar'
>

/**
 * Packs the events of one commit and lane into a row. `zoneOf[i]` is event i's index in `zones`,
 * `lengths[i]` its length in bytes within `data`. `bytesBefore` is the store's running total.
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
  // one chunk that holds the result: the default of 64 KiB costs a third more time and much garbage
  const body = zstdCompressSync(plain, { chunkSize: plain.length + CHUNK_SPARE_BYTES })
  const header = Buffer.from(
    JSON.stringify(zones.map(({ zone, first, count }) => [zone, first, count])),
  )
  const bytesSoFar = bytesBefore + body.length + header.length
  const row = {
    ...facts,
    version: GROUP_VERSION,
    header,
    bytesSoFar,
    body,
    bodyCrc: checksum(body),
  }
  return { ...row, headerCrc: headerChecksum(row) }
}

/** The zones of a group, or a reason why its header cannot be trusted. */
export function readHeader(row: Omit<GroupRow, 'body'>): ZoneRange[] | { reason: string } {
  if (!isHeaderWhole(row)) return { reason: 'header checksum differs' }
  if (row.version !== GROUP_VERSION) return { reason: `group version ${row.version} is not known` }
  const zones = JSON.parse(row.header.toString()) as [string, number, number][]
  return zones.map(([zone, first, count]) => ({ zone, first, count }))
}

/** All events of a group in order, or a reason why it is unreadable. Never a damaged event. */
export function unpackGroup(row: GroupRow): StoredEvent[] | { reason: string } {
  const zones = readHeader(row)
  if ('reason' in zones) return zones
  if (!isBodyWhole(row)) return { reason: 'body checksum differs' }
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

/** Whether what a row says of its events is what was written. */
export function isHeaderWhole(row: Omit<GroupRow, 'body'>): boolean {
  return headerChecksum(row) === row.headerCrc
}

export function isBodyWhole({ body, bodyCrc }: Pick<GroupRow, 'body' | 'bodyCrc'>): boolean {
  return checksum(body) === bodyCrc
}

function headerChecksum(row: Omit<GroupRow, 'body' | 'headerCrc'>): number {
  const { sequence, count, lane, epoch, receivedFrom, receivedTo, version, bytesSoFar } = row
  const fields = [sequence, count, lane, epoch, receivedFrom, receivedTo, version, bytesSoFar]
  return checksum(JSON.stringify(fields), row.schema, row.header)
}
