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

const CAUGHT_UP_MS = 30_000
const LOOK_EVERY_MS = 300
/** Every simulated reading carries its number, so its total is the devices' own. */
const NUMBERED = 'simulated_number'

type Total = { count: number; sum: number }

/**
 * Starts analytics and archive as processes of their own. `judge` compares what analytics came to
 * since then with the devices' own record, and adds what differs to a verdict.
 */
export async function startConsumers({ consumers }: Config, options: SluiceProcessOptions) {
  await using opening = new AsyncDisposableStack()
  opening.use(await startSluiceProcess('analytics', consumers.analytics.http, options))
  opening.use(await startSluiceProcess('archive', consumers.archive.http, options))
  const { host, port } = consumers.analytics.http
  const total = async (): Promise<Total> => {
    const answer = await fetchOnNewConnection(`http://${host}:${port}/api/totals`)
    const { metrics } = (await answer.json()) as Totals
    return metrics.find(({ metric }) => metric === NUMBERED) ?? { count: 0, sum: 0 }
  }
  await settled(total)
  const before = await total()
  const parts = opening.move()
  return {
    async judge(verdict: Verdict, record: PublishRecord): Promise<Verdict> {
      const came = async () => {
        const now = await total()
        return { count: now.count - before.count, sum: now.sum - before.sum }
      }
      const untilMs = performance.now() + CAUGHT_UP_MS
      let found = await came()
      while (found.count < verdict.delivered && performance.now() < untilMs) {
        await sleep(LOOK_EVERY_MS)
        found = await came()
      }
      const fault = faultOf(found, verdict, record)
      const aggregated = { ...verdict, aggregated: found.count }
      if (!fault) return aggregated
      const others =
        verdict.verdict === 'complete' ? [] : [verdict.verdict.replace('incomplete: ', '')]
      return { ...aggregated, verdict: `incomplete: ${[...others, fault].join('; ')}` }
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

/**
 * What analytics differs in from what was delivered, and from what the devices saw acknowledged.
 */
function faultOf(found: Total, { delivered, resent }: Verdict, record: PublishRecord) {
  if (found.count !== delivered) return `analytics counts ${found.count} of ${delivered}`
  let sum = 0
  for (let number = 0; number < record.length; number++) {
    if (record.isAcknowledged(number)) sum += number
  }
  // What a device sends again, or was not told of, is an event as well.
  const isComparable = resent === 0 && record.total.acknowledged === delivered
  if (isComparable && found.sum !== sum) return `analytics adds up to ${found.sum} and not ${sum}`
  return null
}

/** Waits until what earlier runs have left is counted. */
async function settled(total: () => Promise<Total>): Promise<void> {
  const untilMs = performance.now() + CAUGHT_UP_MS
  for (let last = -1; performance.now() < untilMs; ) {
    const { count } = await total()
    if (count === last) return
    last = count
    await sleep(LOOK_EVERY_MS * 5)
  }
}
