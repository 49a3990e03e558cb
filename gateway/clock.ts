import { access } from 'node:fs/promises'
import type { ClockState } from '../config/event/sensor-reading.ts'

const CHECK_EVERY_MS = 10_000

/**
 * Reports how far the clock of this machine can be trusted. SYNCED: the time daemon's file exists.
 * HOLDOVER: the file existed earlier in this run and no longer exists. UNSYNCED: the file has not
 * existed in this run. Checks for the file every ten seconds until `close`.
 */
export async function startClock(syncedFile: string) {
  let state: ClockState = 'UNSYNCED'
  const check = async () => {
    const isSynced = await access(syncedFile).then(
      () => true,
      () => false,
    )
    if (isSynced) state = 'SYNCED'
    else if (state === 'SYNCED') state = 'HOLDOVER'
  }
  await check()
  const timer = setInterval(check, CHECK_EVERY_MS)
  timer.unref()
  return { now: () => state, close: () => clearInterval(timer) }
}
