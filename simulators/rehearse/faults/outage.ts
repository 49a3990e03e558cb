import { setTimeout as sleep } from 'node:timers/promises'
import type { LocalKafka } from '../../kafka/local-kafka.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const BEFORE_MS = 2000
const AFTER_MS = 3000

/**
 * Takes Kafka away while devices publish, kills the bridge meanwhile, gives Kafka back, and judges
 * when all has arrived. The bridge must not end of itself.
 */
export async function rehearseOutage(
  stage: Stage,
  kafka: LocalKafka,
  { times, outageMs }: { times: number; outageMs: number },
): Promise<RehearsalOutcome> {
  const running = new AbortController()
  const run = stage.devices.run(running.signal)
  let waitedMost = 0
  for (let outage = 0; outage < times; outage++) {
    await sleep(BEFORE_MS)
    await kafka.kill()
    await sleep(outageMs / 2)
    stage.bridge.kill('SIGKILL')
    await sleep(outageMs / 2)
    waitedMost = Math.max(waitedMost, (await stage.states()).gateway?.backlog.events ?? 0)
    await kafka.restart()
    await sleep(AFTER_MS)
  }
  running.abort()
  await run
  const left = await stage.drain()
  const { bridge } = stage
  const isCalm = bridge.restarts === times
  const remarks = [
    `${outageMs / 1000} s each, up to ${waitedMost} events waited`,
    ...(isCalm ? [] : [`the bridge was started again ${bridge.restarts} times`]),
    ...(left > 0 ? [`${left} still in the outbox`] : []),
  ]
  const outcome = outcomeOf('kafka-outage', times, await stage.judge(), remarks)
  return { ...outcome, passed: outcome.passed && isCalm && waitedMost > 0 }
}
