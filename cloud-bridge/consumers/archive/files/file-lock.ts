import { pause } from '../../../../config/process/pause.ts'
import { acquireLock, LockedError } from '../../../../gateway/store/file/lock.ts'
import { Fenced } from '../../state/state.ts'

const RETRY_MS = 20
const WAIT_MAX_MS = 5000

/**
 * Does work under an exclusive lock. Waits up to 5 s for the lock; then rejects with Fenced, since
 * the other process writes before this one.
 */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const lock = await waitForLock(file)
  try {
    return await work()
  } finally {
    lock.close()
  }
}

async function waitForLock(file: string): Promise<{ close(): void }> {
  const deadlineMs = performance.now() + WAIT_MAX_MS
  for (;;) {
    try {
      return acquireLock(file)
    } catch (error) {
      if (!(error instanceof LockedError)) throw error
      if (performance.now() > deadlineMs) {
        throw new Fenced(`${file}: another process has held the lock for ${WAIT_MAX_MS} ms`)
      }
    }
    await pause(RETRY_MS)
  }
}
