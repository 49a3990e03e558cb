import { setTimeout as sleep } from 'node:timers/promises'
import type { Totals } from '../../cloud-bridge/consumers/analytics/api/totals.ts'
import type { Config } from '../../config/config.ts'
import type { PublishRecord } from '../devices/record.ts'
import {
  fetchOnNewConnection,
  type SluiceProcessOptions,
  startSluiceProcess,
} from '../processes/sluice-process.ts'
import type { Verdict } from './verdict.ts'

/** Analytics has stopped when its total does not change for this time. */
const STALLED_MS = 60_000
const POLL_MS = 300
const RETRY_MS = 1000
/**
 * The metric that contains the number of a simulated message, so that the devices' record gives the
 * expected sum of the metric.
 */
const NUMBER_METRIC = 'simulated_number'

type Total = { count: number; sum: number }

/**
 * Starts analytics and then archive, each as a process of its own; disposing stops both processes.
 * `judge` compares what analytics has aggregated since this start with the devices' own record. It
 * returns the verdict with `aggregated` and, if they differ, with a further fault.
 */
export async function startConsumers({ consumers }: Config, options: SluiceProcessOptions) {
  await using opening = new AsyncDisposableStack()
  opening.use(await startSluiceProcess('analytics', consumers.analytics.http, options))
  opening.use(await startSluiceProcess('archive', consumers.archive.http, options))
  const { host, port } = consumers.analytics.http
  const fetchTotal = async (): Promise<Total> => {
    for (;;) {
      try {
        const response = await fetchOnNewConnection(`http://${host}:${port}/api/totals`)
        const { metrics } = (await response.json()) as Totals
        return metrics.find(({ metric }) => metric === NUMBER_METRIC) ?? { count: 0, sum: 0 }
      } catch (error) {
        options.signal?.throwIfAborted()
        options.onProblem(`waiting for analytics: ${(error as Error).message}`)
        await sleep(RETRY_MS)
      }
    }
  }
  await waitUntilSteady(fetchTotal)
  const before = await fetchTotal()
  const processes = opening.move()
  return {
    async judge(verdict: Verdict, record: PublishRecord): Promise<Verdict> {
      const fetchAdded = async () => {
        const now = await fetchTotal()
        return { count: now.count - before.count, sum: now.sum - before.sum }
      }
      let [added, changedAtMs] = [await fetchAdded(), performance.now()]
      while (added.count < verdict.delivered && performance.now() - changedAtMs < STALLED_MS) {
        await sleep(POLL_MS)
        const now = await fetchAdded()
        if (now.count !== added.count) changedAtMs = performance.now()
        added = now
      }
      const fault = findFault(added, verdict, record)
      const aggregated = { ...verdict, aggregated: added.count }
      if (!fault) return aggregated
      const others =
        verdict.verdict === 'complete' ? [] : [verdict.verdict.replace('incomplete: ', '')]
      return { ...aggregated, verdict: `incomplete: ${[...others, fault].join('; ')}` }
    },
    [Symbol.asyncDispose]: () => processes.disposeAsync(),
  }
}

/**
 * How the total of analytics differs from the delivered events and the devices' record; null when
 * it does not differ.
 */
function findFault(added: Total, { delivered, resent }: Verdict, record: PublishRecord) {
  if (added.count !== delivered) return `analytics counts ${added.count} of ${delivered}`
  let sum = 0
  for (let number = 0; number < record.length; number++) {
    if (record.isAcknowledged(number)) sum += number
  }
  // Resent messages, and messages whose acknowledgement was lost, become events that the sum lacks.
  const isComparable = resent === 0 && record.total.acknowledged === delivered
  if (isComparable && added.sum !== sum) return `analytics adds up to ${added.sum} and not ${sum}`
  return null
}

/** Waits until analytics has counted the events of earlier runs: its total stays the same. */
async function waitUntilSteady(fetchTotal: () => Promise<Total>): Promise<void> {
  for (let last = -1; ; ) {
    const { count } = await fetchTotal()
    if (count === last) return
    last = count
    await sleep(POLL_MS * 5)
  }
}
