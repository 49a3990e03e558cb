import type { createLog } from '../../../config/process/log.ts'
import type { ConsumerDeadLetter } from './dead-letter.ts'
import type { SendDeadLetters } from './dead-letter-producer.ts'
import type { UnusableRecord } from './record-decoder.ts'

const LOG_EVERY_MS = 60_000
/** So many dead letters since the start raise an alarm. */
const ALARM_FROM = 100
const CURE = 'List them: ./sluice deadletters list --cloud'

type Place = { topic: string; partition: number; offset: number }

/**
 * Reports the records that a consumer dead-letters: a log line at once, then one a minute at most,
 * with the count since the line before and the stack of the last error. From the hundredth on,
 * `alarms` returns an alarm. `nowMs` is a monotonic clock.
 */
export function createUnusableReport(
  log: Pick<ReturnType<typeof createLog>, 'error'>,
  nowMs: () => number = () => performance.now(),
) {
  let [total, unreported] = [0, 0]
  let lastReason = ''
  let loggedMs = Number.NEGATIVE_INFINITY

  const report = (place: Place, reason: string, error?: Error) => {
    total++
    unreported++
    lastReason = reason
    if (nowMs() - loggedMs < LOG_EVERY_MS) return
    const fields = { count: unreported, total, ...place, reason, stack: error?.stack }
    log.error(fields, `records became dead letters. ${CURE}`)
    loggedMs = nowMs()
    unreported = 0
  }
  return {
    /** Reports a record of a topic that becomes a dead letter. */
    add(topic: string, { record: { partition, offset }, reason, error }: UnusableRecord): void {
      report({ topic, partition, offset }, reason, error)
    },
    /** Returns a function that sends dead letters and then reports them. */
    reportSent:
      (send: SendDeadLetters): SendDeadLetters =>
      async (letters, aborted) => {
        await send(letters, aborted)
        for (const { value } of letters) {
          const { topic, partition, offset, reason } = JSON.parse(
            value.toString(),
          ) as ConsumerDeadLetter
          report({ topic, partition, offset }, reason)
        }
      },
    alarms: (): string[] =>
      total < ALARM_FROM
        ? []
        : [
            `${total} records became dead letters since the start; the reason of the last is: ` +
              `${lastReason}. ${CURE}`,
          ],
  }
}
