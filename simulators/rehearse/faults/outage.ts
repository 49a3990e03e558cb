import { setTimeout as sleep } from 'node:timers/promises'
import type { LocalKafka } from '../../kafka/local-kafka.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const BEFORE_MS = 2000
const AFTER_MS = 3000

/**
 * Kills Kafka while devices publish, kills the bridge during the outage, restarts Kafka, and judges
 * when everything is delivered. The bridge must not end by itself.
 */
export async function rehearseOutage(
  stage: Stage,
  kafka: LocalKafka,
  { times, outageMs }: { times: number; outageMs: number },
): Promise<RehearsalOutcome> {
  const running = new AbortController()
  const run = stage.devices.run(running.signal)
  let backlogMax = 0
  for (let outage = 0; outage < times; outage++) {
    await sleep(BEFORE_MS)
    await kafka.kill()
    await sleep(outageMs / 2)
    stage.bridge.kill('SIGKILL')
    await sleep(outageMs / 2)
    backlogMax = Math.max(backlogMax, (await stage.states()).gateway?.backlog.events ?? 0)
    await kafka.restart()
    await sleep(AFTER_MS)
  }
  running.abort()
  await run
  const undelivered = await stage.drain()
  const { bridge } = stage
  const hasOnlyOurRestarts = bridge.restarts === times
  const remarks = [
    `${outageMs / 1000} s each, a backlog of up to ${backlogMax} events`,
    ...(hasOnlyOurRestarts ? [] : [`the bridge was restarted ${bridge.restarts} times`]),
    ...(undelivered > 0 ? [`${undelivered} still in the outbox`] : []),
  ]
  const outcome = outcomeOf('kafka-outage', times, await stage.judge(), remarks)
  return { ...outcome, passed: outcome.passed && hasOnlyOurRestarts && backlogMax > 0 }
}
