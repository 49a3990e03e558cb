import { access } from 'node:fs/promises'
import type { ClockState } from '../config/event/sensor-reading.ts'

const LOOK_EVERY_MS = 10_000

/**
 * How far this machine's clock can be trusted: SYNCED while the time daemon's file exists, HOLDOVER
 * once it existed in this run and is gone, UNSYNCED before. Looks every ten seconds.
 */
export async function startClock(syncedFile: string) {
  let clock: ClockState = 'UNSYNCED'
  const look = async () => {
    const synced = await access(syncedFile).then(
      () => true,
      () => false,
    )
    if (synced) clock = 'SYNCED'
    else if (clock === 'SYNCED') clock = 'HOLDOVER'
  }
  await look()
  const timer = setInterval(look, LOOK_EVERY_MS)
  timer.unref()
  return { now: () => clock, close: () => clearInterval(timer) }
}
