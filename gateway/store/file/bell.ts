import {
  closeSync,
  constants,
  type FSWatcher,
  ftruncateSync,
  openSync,
  readFileSync,
  watch,
  writeSync,
} from 'node:fs'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { checksum } from './checksum.ts'
import { identityOf } from './file-identity.ts'

const MAGIC = 'SLB1'
const BYTES = 48

/** The content of a bell: the last event and the last note of an outbox. */
export type BellMark = { store: Buffer; epoch: number; sequence: number; noteSequence: number }

/** The path of the bell that belongs to an outbox or inbox. */
export const bellFile = (outboxFile: string) => `${outboxFile}.bell`

/**
 * Opens the bell `file` for its one writer. `ring` overwrites the bell's mark in place, without an
 * fsync, and never throws. Throws CannotStart when the file cannot be opened for writing.
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
        // The commit is durable even if the bell cannot be written. The reader's slow poll then
        // finds the group.
      }
    },
    close: () => closeSync(descriptor),
  }
}

function openBellFile(file: string): number {
  try {
    const descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600)
    // Truncates longer content, because a reader accepts only a bell of exactly this length.
    ftruncateSync(descriptor, BYTES)
    return descriptor
  } catch (cause) {
    const isTemporary = /ENOSPC|EDQUOT|EIO/.test(String((cause as { code?: unknown }).code))
    const cure = 'Give this user write permission, or remove the file'
    const message = `${file} cannot be written: ${(cause as Error).message}. ${cure}`
    throw new CannotStart(message, { cause, isTemporary })
  }
}

/**
 * Reads the mark of a bell; null when the file is missing, has another length or a checksum that
 * differs.
 */
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
 * Watches a bell until closed. `next(timeoutMs)` resolves when the bell has rung since the last
 * call of `next`, after the timeout, at `wake`, or at `close`. While the file of the bell is
 * missing, no ring is noticed. Only one `next` may wait at a time.
 */
export function watchBell(file: string) {
  let hasRung = false
  let wake: (() => void) | null = null
  const ring = () => {
    hasRung = true
    wake?.()
  }
  let watcher: FSWatcher | undefined
  let watched: string | null = null
  // A watcher follows an inode, not a path: a file that replaces the bell needs a new watcher.
  const watchCurrentFile = () => {
    const identity = identityOf(file)
    if (identity === watched) return
    watcher?.close()
    watched = null
    if (identity === null) return
    try {
      watcher = watch(file, ring).on('error', () => {
        watched = null
      })
      watched = identity
    } catch {
      // The file was removed, or the system has no file watches left. The timeout then wakes the
      // waiter.
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
    /** Resolves the current `next`, or else the following `next`, at once. */
    wake: ring,
    close: () => {
      watcher?.close()
      ring()
    },
  }
}
