import { isDiskFull } from '../../gateway/store/file/ballast.ts'

/**
 * Runs work that may write to the inbox. When the disk is full, no position advanced: `onFull` gets
 * the reason, the promise resolves with `otherwise`, and the caller retries later, as when Kafka is
 * unavailable. Meanwhile the gateway frees space.
 */
export async function unlessDiskIsFull<T>(
  work: () => Promise<T>,
  otherwise: T,
  onFull: (reason: string) => void,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isDiskFull(error)) throw error
    onFull(`the disk of inbox.file is full: ${(error as Error).message}`)
    return otherwise
  }
}

/** Writes to the inbox; null when the disk is full, and then nothing is written. */
export function nullIfDiskIsFull<T>(write: () => T): T | null {
  try {
    return write()
  } catch (error) {
    if (!isDiskFull(error)) throw error
    return null
  }
}
