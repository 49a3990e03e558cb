import { closeSync, openSync, readSync } from 'node:fs'

/**
 * The page size of outbox and inbox: SQLite's default, which the product never changes. The size is
 * not read from the file, because the file's header may be damaged.
 */
export const PAGE_BYTES = 4096
export const WAL_HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
export const WAL_FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES

/**
 * The committed transactions of a write-ahead log. `pages` maps each page number to the offset of
 * the page's newest intact version in the log. `commitsAfterDamage` counts intact commits after the
 * first damaged frame, where SQLite stops reading. When `isHeaderIntact` is false, SQLite ignores
 * the complete log.
 */
export type Wal = {
  pages: Map<number, number>
  commitsAfterDamage: number
  isHeaderIntact: boolean
}

/**
 * One frame of the log, which contains one page. `at` is the offset of the page in the log; 0 for a
 * damaged header of the log. `pagesAfterCommit` is the database file's size in pages after the
 * commit that this frame ends; 0 for a frame that ends no commit.
 */
type Frame = { at: number; page: number; pagesAfterCommit: number; isIntact: boolean }

/**
 * Reads a write-ahead log further than SQLite does. Each frame contains its checksum, which
 * continues the checksum in the frame before, so each frame can be verified without reading the
 * frames before it. Only frames with the log's current salt up to the last intact commit are used.
 * Frames after that commit were rolled back, and frames with another salt are from an older
 * generation of the log. A log that cannot be opened is empty. Format: sqlite.org/fileformat2.html,
 * "The Write-Ahead Log".
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
  // An intact header's salt is used: when SQLite has just rewritten the header, all frames may
  // still be from the old generation.
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

/**
 * Finds the salt of a log with a damaged header: the salt that two of the header, the first frame
 * and the second frame have in common.
 */
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
 * SQLite's checksum of the log: continues the two sums `before` over 32-bit words. The words are in
 * the machine's byte order, with which SQLite creates the log.
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
    // An unreadable sector counts as the end of the log.
    return false
  }
}
