import { closeSync, openSync, readSync } from 'node:fs'

/** Pages of our files: SQLite's default, never set otherwise. A damaged header cannot say. */
export const PAGE_BYTES = 4096
export const WAL_HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
export const WAL_FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES

/**
 * What a write-ahead log holds of committed transactions: where each page's newest intact version
 * lies in the file, and how many intact commits lie behind a frame that is not intact, where SQLite
 * stops reading. `isHeaderWhole` is false where SQLite reads nothing of it.
 */
export type Wal = {
  pages: Map<number, number>
  commitsAfterDamage: number
  isHeaderIntact: boolean
}

/** `pagesBehind` is how many pages the file has behind a commit; 0 for a frame that ends none. */
type Frame = { at: number; page: number; pagesBehind: number; isIntact: boolean }

/**
 * Reads a write-ahead log further than SQLite does: a frame's checksum goes on from the one written
 * in the frame before it, so each frame can be verified by itself. Only frames of the log's present
 * generation (its salt) and up to its last intact commit count, because what lies behind was rolled
 * back or belongs to an older one. Format: sqlite.org/fileformat2.html, "The Write-Ahead Log".
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
      if (frame.pagesBehind === 0) continue
      for (const { page, at } of pending) wal.pages.set(page, at)
      pending = []
      for (const page of wal.pages.keys()) if (page > frame.pagesBehind) wal.pages.delete(page)
      if (isDamaged) wal.commitsAfterDamage++
    }
    return wal
  } finally {
    closeSync(descriptor)
  }
}

function* framesOf(descriptor: number): Iterable<Frame> {
  const header = Buffer.alloc(WAL_HEADER_BYTES)
  if (!readWhole(descriptor, header, 0)) return
  const frame = Buffer.allocUnsafeSlow(WAL_FRAME_BYTES)
  const words = new Uint32Array(frame.buffer, 0, WAL_FRAME_BYTES / 4)
  const isWhole = isHeaderIntact(header)
  // Behind a header that was written anew there may be nothing yet but frames that went before.
  const salt = isWhole ? header.readBigUInt64BE(16) : saltOf(descriptor, header)
  let sums = sumsAt(header, 24)
  if (!isWhole) yield { at: 0, page: 0, pagesBehind: 0, isIntact: false }
  for (
    let start = WAL_HEADER_BYTES;
    readWhole(descriptor, frame, start);
    start += WAL_FRAME_BYTES
  ) {
    const head = checksum(words, 0, 2, sums)
    const [one, two] = checksum(words, FRAME_HEADER_BYTES / 4, words.length, head)
    sums = sumsAt(frame, 16)
    const isIntact = one === sums[0] && two === sums[1] && frame.readBigUInt64BE(8) === salt
    const [page, pagesBehind] = [frame.readUInt32BE(0), frame.readUInt32BE(4)]
    yield { at: start + FRAME_HEADER_BYTES, page, pagesBehind, isIntact }
  }
}

/** The salt that two of a damaged header, first and second frame agree on. */
function saltOf(descriptor: number, header: Buffer): bigint {
  const head = Buffer.alloc(16)
  const salts = [header.readBigUInt64BE(16)]
  for (const index of [0, 1]) {
    if (readWhole(descriptor, head, WAL_HEADER_BYTES + index * WAL_FRAME_BYTES))
      salts.push(head.readBigUInt64BE(8))
  }
  const [ofHeader, first, second] = salts
  return ofHeader === first || ofHeader === second ? ofHeader! : (first ?? ofHeader)!
}

function isHeaderIntact(header: Buffer): boolean {
  const words = new Uint32Array(new Uint8Array(header).buffer)
  const [one, two] = checksum(words, 0, 6, [0, 0])
  const [first, second] = sumsAt(header, 24)
  return one === first && two === second
}

type Sums = [number, number]

const sumsAt = (bytes: Buffer, at: number): Sums => [
  bytes.readUInt32BE(at),
  bytes.readUInt32BE(at + 4),
]

/** Goes on with two sums over words in the machine's own order, as SQLite writes them. */
function checksum(words: Uint32Array, from: number, to: number, [first, second]: Sums): Sums {
  let [one, two] = [first, second]
  for (let index = from; index < to; index += 2) {
    one = (one + words[index]! + two) >>> 0
    two = (two + words[index + 1]! + one) >>> 0
  }
  return [one, two]
}

function readWhole(descriptor: number, into: Buffer, position: number): boolean {
  try {
    return readSync(descriptor, into, 0, into.length, position) === into.length
  } catch {
    // A sector that cannot be read is damage like any other; what follows counts as not there.
    return false
  }
}
