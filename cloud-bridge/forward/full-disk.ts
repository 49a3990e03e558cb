import { isDiskFull } from '../../gateway/store/file/ballast.ts'

/**
 * Does work that may write to the inbox. Where a note or a position cannot be written because the
 * disk is full, nothing was passed: `onFull` is told, `otherwise` is given, and the work is done
 * again later, as when Kafka is away. The gateway makes room meanwhile.
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
