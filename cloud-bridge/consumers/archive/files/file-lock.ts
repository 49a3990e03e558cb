import { setTimeout as sleep } from 'node:timers/promises'
import { acquireLock, LockedError } from '../../../../gateway/store/file/lock.ts'
import { Fenced } from '../../state/state.ts'

const AGAIN_MS = 20
const WAIT_MAX_MS = 5000

/**
 * Does work while nobody else has the lock, waiting for it a while. Rejects with Fenced when
 * another has it for longer: what it writes then comes before ours.
 */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const lock = await take(file)
  try {
    return await work()
  } finally {
    lock.close()
  }
}

async function take(file: string): Promise<{ close(): void }> {
  const untilMs = performance.now() + WAIT_MAX_MS
  for (;;) {
    try {
      return acquireLock(file)
    } catch (error) {
      if (!(error instanceof LockedError)) throw error
      if (performance.now() > untilMs) throw new Fenced(`${file}: another holds it`)
    }
    await sleep(AGAIN_MS)
  }
}
