import type { Pages } from './sqlite-pages.ts'
import { PAGE_BYTES } from './sqlite-wal.ts'

const LEAF = 0x0d
const POINTERS_AT = 8
/** How much of a row lies in its leaf page; sqlite.org/fileformat2.html, "B-tree Pages". */
const LOCAL_MAX = PAGE_BYTES - 35
const LOCAL_MIN = Math.floor(((PAGE_BYTES - 12) * 32) / 255) - 23
const OVERFLOW_BYTES = PAGE_BYTES - 4

/** A value of a row. */
export type SqlValue = number | string | Buffer | null

/** Where a row lies: its page and its place in it; its rowid, and the type codes of its columns. */
export type Cell = { page: number; at: number; rowid: number; types: number[] }

type Place = { length: number; rowid: number; from: number; local: number }

/**
 * The rows whose places a table's leaf page names. Nothing in it is believed beyond that: what is
 * read from a row must be held against its checksums.
 */
export function cellsIn(page: Buffer, number: number): Cell[] {
  if (!looksLikeLeaf(page)) return []
  const count = Math.min(page.readUInt16BE(3), (PAGE_BYTES - POINTERS_AT) / 2)
  const cells: Cell[] = []
  for (let index = 0; index < count; index++) {
    const at = page.readUInt16BE(POINTERS_AT + 2 * index)
    const place = placeOf(page, at)
    const types = place && typesOf(page.subarray(place.from, place.from + place.local))
    if (types) cells.push({ page: number, at, rowid: place.rowid, types })
  }
  return cells
}

/**
 * The values of a row, its rowid in place of its primary key. Bytes on pages that cannot be read
 * are zeros. Null when the row makes no sense.
 */
export function valuesOf(pages: Pages, cell: Cell): SqlValue[] | null {
  const page = pages.page(cell.page)
  const place = page && placeOf(page, cell.at)
  if (!place || place.length > pages.count * PAGE_BYTES) return null
  const payload = Buffer.alloc(place.length)
  page.copy(payload, 0, place.from, place.from + place.local)
  const isWhole = place.local === place.length
  let next = isWhole ? 0 : page.readUInt32BE(place.from + place.local)
  for (let at = place.local; at < place.length && next > 0; at += OVERFLOW_BYTES) {
    const overflow = pages.page(next)
    if (!overflow) break
    overflow.copy(payload, at, 4)
    next = overflow.readUInt32BE(0)
  }
  const types = typesOf(payload)
  return types && decode(payload, types, place.rowid)
}

/** One flipped bit in its mark must not cost a whole page. */
function looksLikeLeaf(page: Buffer): boolean {
  const difference = page[0]! ^ LEAF
  return (difference & (difference - 1)) === 0
}

function placeOf(page: Buffer, at: number): Place | null {
  if (at < POINTERS_AT || at > PAGE_BYTES - 4) return null
  const [length, afterLength] = varint(page, at)
  const [rowid, from] = varint(page, afterLength)
  const short = LOCAL_MIN + ((length - LOCAL_MIN) % OVERFLOW_BYTES)
  const local = length <= LOCAL_MAX ? length : short <= LOCAL_MAX ? short : LOCAL_MIN
  const end = from + local + (local < length ? 4 : 0)
  return end <= PAGE_BYTES ? { length, rowid, from, local } : null
}

/** The type codes of a record's columns; null when its header does not fit. */
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

/** A number of SQLite's: seven bits a byte, at most nine bytes, and where it ends. */
function varint(bytes: Buffer, from: number): [value: number, end: number] {
  let value = 0
  for (let index = 0; index < 8; index++) {
    const byte = bytes[from + index] ?? 0
    value = value * 128 + (byte & 0x7f)
    if (byte < 0x80) return [value, from + index + 1]
  }
  return [value * 256 + (bytes[from + 8] ?? 0), from + 9]
}
