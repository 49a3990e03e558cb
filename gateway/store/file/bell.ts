import {
  closeSync,
  constants,
  type FSWatcher,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  watch,
  writeSync,
} from 'node:fs'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { checksum } from './checksum.ts'

const MAGIC = 'SLB1'
const BYTES = 48

/** The high-water mark of an outbox: its last event and note. The bell's file stores the mark. */
export type BellMark = { store: Buffer; epoch: number; sequence: number; noteSequence: number }

/** The path of the bell beside an outbox or inbox. */
export const bellFile = (outboxFile: string) => `${outboxFile}.bell`

/**
 * Opens the bell for its one writer. `ring` overwrites the mark in place, without an fsync, and
 * never throws. Throws CannotStart when the file cannot be opened for writing.
 */
export function openBell(file: string) {
  const descriptor = openBellFile(file)
  const bytes = Buffer.alloc(BYTES)
  return {
    ring(mark: BellMark): void {
      bytes.write(MAGIC, 0, 'latin1')
      mark.store.copy(bytes, 4, 0, 16)
      bytes.writeBigUInt64LE(BigInt(mark.epoch), 20)
      bytes.writeBigUInt64LE(BigInt(mark.sequence), 28)
      bytes.writeBigUInt64LE(BigInt(mark.noteSequence), 36)
      bytes.writeUInt32LE(checksum(bytes.subarray(0, 44)), 44)
      try {
        writeSync(descriptor, bytes, 0, BYTES, 0)
      } catch {
        // The commit is durable without the bell; the reader's slow poll finds the group.
      }
    },
    close: () => closeSync(descriptor),
  }
}

function openBellFile(file: string): number {
  try {
    const descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600)
    // A reader accepts only a file of this length, so longer content must go.
    ftruncateSync(descriptor, BYTES)
    return descriptor
  } catch (cause) {
    const isTemporary = /ENOSPC|EDQUOT|EIO/.test(String((cause as { code?: unknown }).code))
    const cure = 'Give this user write permission, or remove the file'
    const message = `${file} cannot be written: ${(cause as Error).message}. ${cure}`
    throw new CannotStart(message, { cause, isTemporary })
  }
}

/** The mark in a bell's file; null when the file is missing or its checksum differs. */
export function readBell(file: string): BellMark | null {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch {
    return null
  }
  if (bytes.length !== BYTES || bytes.toString('latin1', 0, 4) !== MAGIC) return null
  if (bytes.readUInt32LE(44) !== checksum(bytes.subarray(0, 44))) return null
  return {
    store: bytes.subarray(4, 20),
    epoch: Number(bytes.readBigUInt64LE(20)),
    sequence: Number(bytes.readBigUInt64LE(28)),
    noteSequence: Number(bytes.readBigUInt64LE(36)),
  }
}

/**
 * Watches a bell until closed. `next(timeoutMs)` resolves when the bell rang since the last call,
 * after the timeout, or at close. While the bell is missing, only the timeout and `wake` resolve.
 * One waiter at a time.
 */
export function watchBell(file: string) {
  let hasRung = false
  let wake: (() => void) | null = null
  const ring = () => {
    hasRung = true
    wake?.()
  }
  let watcher: FSWatcher | undefined
  let watchedInode: number | undefined
  // A watcher follows an inode, not a path: a file that replaces the bell needs a new watcher.
  const watchCurrentFile = () => {
    const inode = statSync(file, { throwIfNoEntry: false })?.ino
    if (inode === watchedInode) return
    watcher?.close()
    watchedInode = undefined
    if (inode === undefined) return
    try {
      watcher = watch(file, ring).on('error', () => {
        watchedInode = undefined
      })
      watchedInode = inode
    } catch {
      // The file vanished, or the system has no watches left: the timeout wakes the waiter.
    }
  }
  return {
    async next(timeoutMs: number): Promise<void> {
      watchCurrentFile()
      if (!hasRung) {
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, timeoutMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        wake = null
      }
      hasRung = false
    },
    /** Ends the current wait, or the next one, at once. */
    wake: ring,
    close: () => {
      watcher?.close()
      ring()
    },
  }
}
