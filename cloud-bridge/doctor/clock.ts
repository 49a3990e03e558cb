import { existsSync } from 'node:fs'
import { EARLIEST_VALID_TIME_MS } from '../kafka/topic-retention.ts'
import { type Check, fault, ok, warning } from './finding.ts'

/** Whether this machine's clock can be trusted. A time daemon creates `syncedFile`. */
export function clockCheck(syncedFile: string, nowMs = Date.now()): Check {
  const subject = 'clock'
  const cure = 'Let a time daemon set it (timedatectl set-ntp true)'
  return {
    subject,
    async run() {
      const now = new Date(nowMs).toISOString()
      if (nowMs < EARLIEST_VALID_TIME_MS)
        return [fault(subject, `${now} is before this program was written`, cure)]
      if (existsSync(syncedFile)) return [ok(subject, `${now}, synchronised`)]
      const unconfirmed = `nothing says that it is synchronised (${syncedFile} does not exist)`
      const value = `${now}, but ${unconfirmed}`
      return [warning(subject, value, `${cure}, or name its file in gateway.clock.syncedFile`)]
    },
  }
}
