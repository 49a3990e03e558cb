import { closeSync, openSync, readSync } from 'node:fs'
import type { Database } from 'better-sqlite3'
import { PAGE_BYTES, WAL_FRAME_BYTES, WAL_HEADER_BYTES } from './sqlite-wal.ts'

/** How many frames of the log are read at once. */
const READ_FRAMES = 8

export type WearMeter = ReturnType<typeof openWearMeter>

/**
 * Counts the bytes that are written to disk for a database, from its write-ahead log. A commit
 * counts with all blocks of the log that it touches, because its fsync writes complete blocks. A
 * checkpoint later writes each page of the log into the database file once. That write is counted
 * when the page is added to the log, so that the count grows evenly. Call `measure` after commits,
 * before SQLite overwrites the log. Not counted are the bell, which the system rarely writes to
 * disk, and the file system's own writes.
 */
export function openWearMeter(db: Database) {
  const selectState = db.prepare('PRAGMA wal_checkpoint(NOOP)').raw()
  const log = openSync(`${db.name}-wal`, 'r')
  const header = Buffer.alloc(WAL_HEADER_BYTES)
  const buffer = Buffer.alloc(READ_FRAMES * WAL_FRAME_BYTES)
  /** The number of the last frame of each page in the current generation of the log. */
  const lastFrameOf = new Map<number, number>()
  const generation = () => {
    const hasHeader = readSync(log, header, 0, WAL_HEADER_BYTES, 0) === WAL_HEADER_BYTES
    return hasHeader ? header.readUInt32BE(12) : null
  }
  let [, frames, moved] = selectState.get() as LogState
  let current = generation()
  let bytes = 0

  const addFrame = (frame: number, page: number) => {
    if ((lastFrameOf.get(page) ?? 0) <= moved) bytes += PAGE_BYTES
    lastFrameOf.set(page, frame)
  }
  /**
   * Starts counting from the first frame again when SQLite has restarted the log. SQLite restarts a
   * log only after a checkpoint moved all pages of the log into the database file.
   */
  const restartIfNewGeneration = () => {
    const next = generation()
    if (next === null || next === current) return
    lastFrameOf.clear()
    current = next
    frames = 0
    moved = 0
    bytes += PAGE_BYTES
  }
  return {
    /** Bytes written since the database was opened, up to the last `measure`. */
    get bytes() {
      return bytes
    },
    /** Adds the bytes of the frames that were added to the log since the last call. */
    measure(): void {
      const [, last, movedNow] = selectState.get() as LogState
      if (last === frames && movedNow === moved) return
      if (frames === moved || last < frames || movedNow < moved) restartIfNewGeneration()
      if (last > frames) bytes += blocksBytes(positionOf(frames + 1), positionOf(last + 1))
      for (let frame = frames + 1; frame <= last; frame += READ_FRAMES) {
        const count = Math.min(READ_FRAMES, last + 1 - frame)
        readSync(log, buffer, 0, count * WAL_FRAME_BYTES, positionOf(frame))
        for (let at = 0; at < count; at++)
          addFrame(frame + at, buffer.readUInt32BE(at * WAL_FRAME_BYTES))
      }
      frames = last
      moved = movedNow
    },
    close: () => closeSync(log),
  }
}

/**
 * The row of `PRAGMA wal_checkpoint(NOOP)`: `log` is the number of frames in the log,
 * `checkpointed` the number of frames that were moved into the database file.
 */
type LogState = [busy: number, log: number, checkpointed: number]

/** The offset of a frame in the log. The first frame has the number 1. */
const positionOf = (frame: number) => WAL_HEADER_BYTES + (frame - 1) * WAL_FRAME_BYTES

/** The size of all blocks that contain a byte between two offsets of the log. */
function blocksBytes(from: number, to: number): number {
  return (Math.floor((to - 1) / PAGE_BYTES) - Math.floor(from / PAGE_BYTES) + 1) * PAGE_BYTES
}
