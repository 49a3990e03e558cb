import { existsSync } from 'node:fs'
import { EARLIEST_VALID_TIME_MS } from '../kafka/topic-retention.ts'
import { type Check, fault, ok, warn } from './finding.ts'

/** Whether this machine's clock can be trusted. */
export function clockCheck(syncedFile: string, nowMs = Date.now()): Check {
  const what = 'clock'
  const cure = 'Have a time daemon set it (timedatectl set-ntp true)'
  return {
    what,
    async look() {
      const now = new Date(nowMs).toISOString()
      if (nowMs < EARLIEST_VALID_TIME_MS) return [fault(what, `${now}, which is long past`, cure)]
      if (existsSync(syncedFile)) return [ok(what, `${now}, synchronised`)]
      const value = `${now}, and nobody says that it is right (there is no ${syncedFile})`
      return [warn(what, value, `${cure}, or name its file in gateway.clock.syncedFile`)]
    },
  }
}
