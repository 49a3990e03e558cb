import { setTimeout as sleep } from 'node:timers/promises'
import type { Totals } from '../../cloud-bridge/consumers/analytics/api/totals.ts'
import type { Config } from '../../config/config.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
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
 * Starts analytics and then archive, each as a process of its own; disposing stops both processes.
 * `judge` compares how many readings analytics has aggregated since this start with the delivered
 * events. It returns the verdict with `aggregated` and, if they differ, with a further fault.
 */
export async function startConsumers({ consumers }: Config, options: SluiceProcessOptions) {
  await using opening = new AsyncDisposableStack()
  const analytics = opening.use(
    await startSluiceProcess('analytics', consumers.analytics.http, options),
  )
  opening.use(await startSluiceProcess('archive', consumers.archive.http, options))
  const { host, port } = consumers.analytics.http
  /** How many readings analytics has aggregated. */
  const fetchTotal = async (): Promise<number> => {
    for (;;) {
      try {
        const url = `http://${host}:${port}/api/totals`
        const response = await fetchOnNewConnection(url, options.signal)
        const { readings } = (await response.json()) as Totals
        return readings
      } catch (error) {
        options.signal?.throwIfAborted()
        const { state } = analytics
        if (state.name === 'failed') {
          throw new CannotStart(`analytics has ended and is not restarted: ${state.reason}`)
        }
        options.onProblem(`waiting for analytics: ${(error as Error).message}`)
        await sleep(RETRY_MS)
      }
    }
  }
  await waitUntilSteady(fetchTotal, options.onProblem)
  const before = await fetchTotal()
  const processes = opening.move()
  return {
    async judge(verdict: Verdict): Promise<Verdict> {
      const fetchAdded = async () => (await fetchTotal()) - before
      let [added, changedAtMs] = [await fetchAdded(), performance.now()]
      while (added < verdict.delivered && performance.now() - changedAtMs < STALLED_MS) {
        await sleep(POLL_MS)
        const now = await fetchAdded()
        if (now !== added) changedAtMs = performance.now()
        added = now
      }
      const aggregated = { ...verdict, aggregated: added }
      if (added === verdict.delivered) return aggregated
      const fault = `analytics counts ${added} of ${verdict.delivered}`
      const others =
        verdict.verdict === 'complete' ? [] : [verdict.verdict.replace('incomplete: ', '')]
      return { ...aggregated, verdict: `incomplete: ${[...others, fault].join('; ')}` }
    },
    [Symbol.asyncDispose]: () => processes.disposeAsync(),
  }
}

/** Waits until analytics has counted the events of earlier runs: its total stays the same. */
async function waitUntilSteady(
  fetchTotal: () => Promise<number>,
  onWait: (text: string) => void,
): Promise<void> {
  for (let last = -1; ; ) {
    const count = await fetchTotal()
    if (count === last) return
    if (last >= 0) onWait(`waiting until analytics has counted all earlier readings: ${count} now`)
    last = count
    await sleep(POLL_MS * 5)
  }
}
