import { closeSync, openSync, readSync } from 'node:fs'

/**
 * The page size of our files: SQLite's default, which the product never changes. A damaged header
 * could not name the size.
 */
export const PAGE_BYTES = 4096
export const WAL_HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
export const WAL_FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES

/**
 * The committed transactions of a write-ahead log. `pages` has the offset of each page's newest
 * intact version. `commitsAfterDamage` counts intact commits after the first damaged frame, where
 * SQLite stops reading. With `isHeaderIntact` false, SQLite ignores the complete log.
 */
export type Wal = {
  pages: Map<number, number>
  commitsAfterDamage: number
  isHeaderIntact: boolean
}

/**
 * `at` is the offset of the frame's page in the log, 0 for the log's header. `pagesAfterCommit` is
 * the file's size in pages after the commit that this frame ends; 0 for any other frame.
 */
type Frame = { at: number; page: number; pagesAfterCommit: number; isIntact: boolean }

/**
 * Reads a write-ahead log further than SQLite does. A frame's checksum continues the checksum that
 * is written in the frame before, so each frame can be verified alone. Only frames of the log's
 * current generation (its salt) up to the last intact commit count: later frames were rolled back,
 * and frames with another salt are from an older generation. A log that cannot be opened is empty.
 * Format: sqlite.org/fileformat2.html, "The Write-Ahead Log".
 */
export function readWal(file: string): Wal {
  const wal: Wal = { pages: new Map(), commitsAfterDamage: 0, isHeaderIntact: true }
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch {
    return wal
  }
  try {
    let pending: Frame[] = []
    let isDamaged = false
    for (const frame of framesOf(descriptor)) {
      if (!frame.isIntact) {
        isDamaged = true
        if (frame.at === 0) wal.isHeaderIntact = false
        continue
      }
      if (frame.page > 0) pending.push(frame)
      if (frame.pagesAfterCommit === 0) continue
      for (const { page, at } of pending) wal.pages.set(page, at)
      pending = []
      for (const page of wal.pages.keys()) if (page > frame.pagesAfterCommit) wal.pages.delete(page)
      if (isDamaged) wal.commitsAfterDamage++
    }
    return wal
  } finally {
    closeSync(descriptor)
  }
}

function* framesOf(descriptor: number): Iterable<Frame> {
  const header = Buffer.alloc(WAL_HEADER_BYTES)
  if (!readFully(descriptor, header, 0)) return
  const frame = Buffer.allocUnsafeSlow(WAL_FRAME_BYTES)
  const words = new Uint32Array(frame.buffer, 0, WAL_FRAME_BYTES / 4)
  const isIntactHeader = isHeaderIntact(header)
  // After a rewritten header there may be no new frame yet, only frames of the old generation.
  const salt = isIntactHeader ? header.readBigUInt64BE(16) : saltOf(descriptor, header)
  let sums = sumsAt(header, 24)
  if (!isIntactHeader) yield { at: 0, page: 0, pagesAfterCommit: 0, isIntact: false }
  for (
    let start = WAL_HEADER_BYTES;
    readFully(descriptor, frame, start);
    start += WAL_FRAME_BYTES
  ) {
    const head = checksum(words, 0, 2, sums)
    const [first, second] = checksum(words, FRAME_HEADER_BYTES / 4, words.length, head)
    sums = sumsAt(frame, 16)
    const isIntact = first === sums[0] && second === sums[1] && frame.readBigUInt64BE(8) === salt
    const [page, pagesAfterCommit] = [frame.readUInt32BE(0), frame.readUInt32BE(4)]
    yield { at: start + FRAME_HEADER_BYTES, page, pagesAfterCommit, isIntact }
  }
}

/** The salt on which two of these three agree: the damaged header, the first and second frame. */
function saltOf(descriptor: number, header: Buffer): bigint {
  const head = Buffer.alloc(16)
  const salts = [header.readBigUInt64BE(16)]
  for (const index of [0, 1]) {
    if (readFully(descriptor, head, WAL_HEADER_BYTES + index * WAL_FRAME_BYTES))
      salts.push(head.readBigUInt64BE(8))
  }
  const [ofHeader, first, second] = salts
  return ofHeader === first || ofHeader === second ? ofHeader! : (first ?? ofHeader)!
}

function isHeaderIntact(header: Buffer): boolean {
  const words = new Uint32Array(new Uint8Array(header).buffer)
  const [first, second] = checksum(words, 0, 6, [0, 0])
  const written = sumsAt(header, 24)
  return first === written[0] && second === written[1]
}

type Sums = [number, number]

const sumsAt = (bytes: Buffer, at: number): Sums => [
  bytes.readUInt32BE(at),
  bytes.readUInt32BE(at + 4),
]

/**
 * SQLite's checksum: continues two sums over 32-bit words in the machine's byte order. SQLite
 * creates the log with that order.
 */
function checksum(words: Uint32Array, from: number, to: number, before: Sums): Sums {
  let [first, second] = before
  for (let index = from; index < to; index += 2) {
    first = (first + words[index]! + second) >>> 0
    second = (second + words[index + 1]! + first) >>> 0
  }
  return [first, second]
}

function readFully(descriptor: number, into: Buffer, position: number): boolean {
  try {
    return readSync(descriptor, into, 0, into.length, position) === into.length
  } catch {
    // An unreadable sector is damage: the log counts as ended here.
    return false
  }
}
