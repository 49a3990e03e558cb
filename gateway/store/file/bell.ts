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

/** The high-water mark of an outbox, as it stands in the tiny file beside it. */
export type BellMark = { store: Buffer; epoch: number; sequence: number; noteSequence: number }

/** The bell's file of an outbox. */
export const bellFile = (outboxFile: string) => `${outboxFile}.bell`

/**
 * Opens the bell for ringing: `ring` overwrites the mark in place, is not fsynced, never throws.
 * Throws CannotStart when the file cannot be written.
 */
export function openBell(file: string) {
  const descriptor = openOrSay(file)
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
        // The commit stands without it; the reader's slow poll finds the group.
      }
    },
    close: () => closeSync(descriptor),
  }
}

function openOrSay(file: string): number {
  try {
    const descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600)
    // Whatever stands in it besides would keep it from being read for ever.
    ftruncateSync(descriptor, BYTES)
    return descriptor
  } catch (cause) {
    const isTemporary = /ENOSPC|EDQUOT|EIO/.test(String((cause as { code?: unknown }).code))
    const cure = 'Let this user write it, or remove it'
    const message = `${file} cannot be written: ${(cause as Error).message}. ${cure}`
    throw new CannotStart(message, { cause, isTemporary })
  }
}

/** The mark in the bell's file, or null when there is none that can be trusted. */
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
 * Waits for the bell. `next(timeoutMs)` resolves when it rang since the last call, when the time is
 * up, or when closed; a missing bell is only waited for by time. One waiter at a time.
 */
export function watchBell(file: string) {
  let rang = false
  let wake: (() => void) | null = null
  const ring = () => {
    rang = true
    wake?.()
  }
  let watcher: FSWatcher | undefined
  let watched: number | undefined
  // A watcher follows the file that it was given, not the one that takes its place.
  const look = () => {
    const inode = statSync(file, { throwIfNoEntry: false })?.ino
    if (inode === watched) return
    watcher?.close()
    watched = undefined
    if (inode === undefined) return
    try {
      watcher = watch(file, ring).on('error', () => {
        watched = undefined
      })
      watched = inode
    } catch {
      // Gone again, or no watches left: then it is waited for by time.
    }
  }
  return {
    async next(timeoutMs: number): Promise<void> {
      look()
      if (!rang) {
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, timeoutMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        wake = null
      }
      rang = false
    },
    /** Ends a wait at once. */
    wake: ring,
    close: () => {
      watcher?.close()
      ring()
    },
  }
}
