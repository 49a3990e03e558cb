import type { Pages } from './sqlite-pages.ts'
import { PAGE_BYTES } from './sqlite-wal.ts'

/** The type byte of a table's leaf page, and the offset of the cell pointers in the page. */
const LEAF = 0x0d
const POINTERS_AT = 8
/**
 * The limits for the bytes of a row that are stored in its leaf page, and the bytes of a row that
 * an overflow page has; sqlite.org/fileformat2.html, "B-tree Pages".
 */
const LOCAL_MAX = PAGE_BYTES - 35
const LOCAL_MIN = Math.floor(((PAGE_BYTES - 12) * 32) / 255) - 23
const OVERFLOW_BYTES = PAGE_BYTES - 4

/** The value of one column of a row. */
export type SqlValue = number | string | Buffer | null

/** A row's page and offset in the page, its rowid, and the type codes of its columns. */
export type Cell = { page: number; at: number; rowid: number; types: number[] }

/** A row's payload: its length, and the offset and length of the part in the leaf page. */
type Payload = { length: number; rowid: number; from: number; local: number }

/**
 * Returns the rows of a table's leaf page, found by the cell pointers of the page; an empty array
 * for a page of another type. The page may be damaged, so the caller must verify the checksums of
 * every row.
 */
export function cellsIn(page: Buffer, number: number): Cell[] {
  if (!looksLikeLeaf(page)) return []
  const count = Math.min(page.readUInt16BE(3), (PAGE_BYTES - POINTERS_AT) / 2)
  const cells: Cell[] = []
  for (let index = 0; index < count; index++) {
    const at = page.readUInt16BE(POINTERS_AT + 2 * index)
    const payload = payloadOf(page, at)
    const local = payload && page.subarray(payload.from, payload.from + payload.local)
    const types = local && typesOf(local)
    if (types) cells.push({ page: number, at, rowid: payload.rowid, types })
  }
  return cells
}

/**
 * Returns the values of a row, with the rowid in place of the primary key. Bytes on pages that
 * cannot be read are zeros. Returns null when the lengths in the row are inconsistent.
 */
export function valuesOf(pages: Pages, cell: Cell): SqlValue[] | null {
  const page = pages.page(cell.page)
  const payload = page && payloadOf(page, cell.at)
  if (!payload || payload.length > pages.count * PAGE_BYTES) return null
  const { length, rowid, from, local } = payload
  const record = Buffer.alloc(length)
  page.copy(record, 0, from, from + local)
  let next = local === length ? 0 : page.readUInt32BE(from + local)
  for (let at = local; at < length && next > 0; at += OVERFLOW_BYTES) {
    const overflow = pages.page(next)
    if (!overflow) break
    overflow.copy(record, at, 4)
    next = overflow.readUInt32BE(0)
  }
  const types = typesOf(record)
  return types && decode(record, types, rowid)
}

/**
 * Whether a page is a leaf page, or would be one if one flipped bit of its type byte were
 * corrected.
 */
function looksLikeLeaf(page: Buffer): boolean {
  const difference = page[0]! ^ LEAF
  return (difference & (difference - 1)) === 0
}

/** Returns the payload of the cell at an offset; null when the payload does not fit in the page. */
function payloadOf(page: Buffer, at: number): Payload | null {
  if (at < POINTERS_AT || at > PAGE_BYTES - 4) return null
  const [length, afterLength] = varint(page, at)
  const [rowid, from] = varint(page, afterLength)
  const short = LOCAL_MIN + ((length - LOCAL_MIN) % OVERFLOW_BYTES)
  const local = length <= LOCAL_MAX ? length : short <= LOCAL_MAX ? short : LOCAL_MIN
  const end = from + local + (local < length ? 4 : 0)
  return end <= PAGE_BYTES ? { length, rowid, from, local } : null
}

/**
 * Returns the type codes of a record's columns; null when the record's header is longer than the
 * record.
 */
function typesOf(record: Buffer): number[] | null {
  const [end, first] = varint(record, 0)
  if (end > record.length) return null
  const types: number[] = []
  for (let at = first; at < end; ) {
    const [type, next] = varint(record, at)
    types.push(type)
    at = next
  }
  return types
}

function decode(record: Buffer, types: number[], rowid: number): SqlValue[] | null {
  let [at] = varint(record, 0)
  const values = types.map((type, column): SqlValue => {
    const from = at
    at += bytesOf(type)
    if (at > record.length) return null
    const bytes = record.subarray(from, at)
    if (type === 0) return column === 0 ? rowid : null
    if (type === 8 || type === 9) return type - 8
    if (type === 6) return Number(bytes.readBigInt64BE())
    if (type === 7) return bytes.readDoubleBE()
    if (type < 6) return bytes.readIntBE(0, bytes.length)
    return type % 2 === 0 ? bytes : bytes.toString()
  })
  return at <= record.length ? values : null
}

function bytesOf(type: number): number {
  if (type >= 12) return Math.floor((type - 12) / 2)
  return [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0][type]!
}

/**
 * Reads SQLite's variable-length integer (seven bits a byte, at most nine bytes); returns the value
 * and the offset after it.
 */
function varint(bytes: Buffer, from: number): [value: number, end: number] {
  let value = 0
  for (let index = 0; index < 8; index++) {
    const byte = bytes[from + index] ?? 0
    value = value * 128 + (byte & 0x7f)
    if (byte < 0x80) return [value, from + index + 1]
  }
  return [value * 256 + (bytes[from + 8] ?? 0), from + 9]
}
