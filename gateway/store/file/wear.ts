import { closeSync, openSync, readSync } from 'node:fs'
import type { Database } from 'better-sqlite3'
import { PAGE_BYTES, WAL_FRAME_BYTES, WAL_HEADER_BYTES } from './sqlite-wal.ts'

/** So many frames are read at once. */
const READ_FRAMES = 8

export type WearMeter = ReturnType<typeof openWearMeter>

/**
 * Counts what a store makes its disk write, from its write-ahead log: each commit the blocks of the
 * log that it touches, because its fsync writes them whole, and each page that has to be brought
 * into the file once more for it, counted when the page enters the log and not when it is moved, so
 * that the count is even. To be looked at after each commit. Not in it: the bell, which the system
 * writes now and then, and what a file system keeps for itself.
 */
export function openWearMeter(db: Database) {
  const state = db.prepare('PRAGMA wal_checkpoint(NOOP)').raw()
  const log = openSync(`${db.name}-wal`, 'r')
  const header = Buffer.alloc(WAL_HEADER_BYTES)
  const some = Buffer.alloc(READ_FRAMES * WAL_FRAME_BYTES)
  /** The last frame of each page in this generation of the log. */
  const newest = new Map<number, number>()
  const generation = () => {
    const isThere = readSync(log, header, 0, WAL_HEADER_BYTES, 0) === WAL_HEADER_BYTES
    return isThere ? header.readUInt32BE(12) : null
  }
  let [, frames, moved] = state.get() as LogState
  let current = generation()
  let bytes = 0

  const enter = (frame: number, page: number) => {
    if ((newest.get(page) ?? 0) <= moved) bytes += PAGE_BYTES
    newest.set(page, frame)
  }
  /** A log begins again only when all of it is in the file. */
  const beginAgain = () => {
    const next = generation()
    if (next === null || next === current) return
    newest.clear()
    current = next
    frames = 0
    moved = 0
    bytes += PAGE_BYTES
  }
  return {
    /** Bytes since the store was opened, as of the last look. */
    get bytes() {
      return bytes
    },
    measure(): void {
      const [, last, movedNow] = state.get() as LogState
      if (last === frames && movedNow === moved) return
      if (frames === moved || last < frames || movedNow < moved) beginAgain()
      if (last > frames) bytes += blocksBytes(positionOf(frames + 1), positionOf(last + 1))
      for (let frame = frames + 1; frame <= last; frame += READ_FRAMES) {
        const count = Math.min(READ_FRAMES, last + 1 - frame)
        readSync(log, some, 0, count * WAL_FRAME_BYTES, positionOf(frame))
        for (let at = 0; at < count; at++)
          enter(frame + at, some.readUInt32BE(at * WAL_FRAME_BYTES))
      }
      frames = last
      moved = movedNow
    },
    close: () => closeSync(log),
  }
}

type LogState = [busy: number, log: number, checkpointed: number]

const positionOf = (frame: number) => WAL_HEADER_BYTES + (frame - 1) * WAL_FRAME_BYTES

/** The bytes of all blocks between two positions. */
function blocksBytes(from: number, to: number): number {
  return (Math.floor((to - 1) / PAGE_BYTES) - Math.floor(from / PAGE_BYTES) + 1) * PAGE_BYTES
}
