import { pause } from '../../../../config/process/pause.ts'
import { acquireLock, LockedError } from '../../../../gateway/store/file/lock.ts'
import { Fenced } from '../../state/state.ts'

const RETRY_MS = 20
const WAIT_MAX_MS = 5000

/**
 * Runs `work` under an exclusive lock. Waits up to 5 s for the lock. Then rejects with Fenced,
 * because the process that has the lock is writing, and this process may no longer own the
 * partition.
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
        const fault = `${error.holder} kept the lock ${file} for ${WAIT_MAX_MS} ms`
        throw new Fenced(`${fault}, and may own the partition now`)
      }
    }
    await pause(RETRY_MS)
  }
}
