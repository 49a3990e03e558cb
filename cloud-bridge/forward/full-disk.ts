import { isDiskFull } from '../../gateway/store/file/ballast.ts'

/**
 * Runs work that may write to the inbox. When the inbox's disk is full, no position has advanced:
 * `onFull` is called with the reason, and the promise resolves with `otherwise`. The caller retries
 * later, as it does while Kafka is unavailable. Meanwhile the gateway frees disk space.
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
    onFull(`the disk of inbox.file is full, free some space on it: ${(error as Error).message}`)
    return otherwise
  }
}

/** Writes to the inbox. Returns null when the inbox's disk is full; then nothing is written. */
export function nullIfDiskIsFull<T>(write: () => T): T | null {
  try {
    return write()
  } catch (error) {
    if (!isDiskFull(error)) throw error
    return null
  }
}
