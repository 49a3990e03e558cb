import {
  type ClockOptions,
  clockCure,
  type RunTool,
  readClock,
} from '../../config/process/time-sources.ts'
import { EARLIEST_VALID_TIME_MS } from '../kafka/topic-retention.ts'
import { type Check, fault, ok, warning } from './finding.ts'

/** Whether this machine's clock can be trusted, and which source says so. */
export function clockCheck(options: ClockOptions, nowMs = Date.now(), run?: RunTool): Check {
  const subject = 'clock'
  return {
    subject,
    async run() {
      const now = new Date(nowMs).toISOString()
      const answer = await readClock(options, run)
      if (nowMs < EARLIEST_VALID_TIME_MS) {
        return [fault(subject, `${now} is before this program was written`, clockCure(answer))]
      }
      if (answer.isSynchronised) return [ok(subject, `${now}, synchronised (${answer.source})`)]
      const unconfirmed = answer.source
        ? `${answer.source} says that it is not synchronised`
        : 'nothing says that it is synchronised'
      return [warning(subject, `${now}, but ${unconfirmed}`, clockCure(answer))]
    },
  }
}
