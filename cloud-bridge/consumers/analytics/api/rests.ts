import { setImmediate as breathe } from 'node:timers/promises'

const BUSY_MAX_MS = 10

/**
 * Gives what a long look calls at every step: it leaves the thread to the process' own work, the
 * heartbeats above all, whenever the look has had it for 10 ms.
 */
export function startRests(): () => Promise<void> {
  let sinceMs = performance.now()
  return async () => {
    if (performance.now() - sinceMs < BUSY_MAX_MS) return
    await breathe()
    sinceMs = performance.now()
  }
}
