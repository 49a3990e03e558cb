import { setTimeout as sleep } from 'node:timers/promises'
import { mulberry32 } from '../../building/random.ts'
import { findFreePort } from '../../kafka/free-port.ts'
import { startSluiceProcess } from '../../processes/sluice-process.ts'
import type { SupervisedProcess } from '../../processes/supervisor.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'
import {
  compareConsumers,
  countArchivedEvents,
  fetchAnalyticsCount,
} from './consumer-comparison.ts'

const KILL_EVERY_MS = 3000
const MEMBERS = 2
const CATCH_UP_MAX_MS = 60_000
const POLL_MS = 500

/**
 * Runs two members of analytics and two of archive. Every three seconds, while devices publish,
 * kills a random member with SIGKILL, so that the consumer groups rebalance all the time.
 * Afterwards the windows of analytics must equal a plain computation over all events in Kafka, and
 * the archive must have each event once.
 */
export async function rehearseConsumers(
  stage: Stage,
  options: { times: number; seed: number; env: NodeJS.ProcessEnv; onProgress(line: string): void },
): Promise<RehearsalOutcome> {
  const { times, seed, onProgress } = options
  const random = mulberry32(seed)
  await using stack = new AsyncDisposableStack()
  const analytics = await startMembers('analytics', stage, options)
  const archive = await startMembers('archive', stage, options)
  const members = [...analytics.members, ...archive.members]
  for (const member of members) stack.use(member)
  const running = new AbortController()
  const run = stage.devices.run(running.signal)
  for (let kill = 1; kill <= times; kill++) {
    await sleep(KILL_EVERY_MS)
    members[Math.floor(random() * members.length)]!.kill('SIGKILL')
    if (kill % 10 === 0) onProgress(`consumers: ${kill} of ${times}`)
  }
  running.abort()
  await run
  const undelivered = await stage.drain()
  const verdict = await stage.judge()
  const deadlineMs = performance.now() + CATCH_UP_MAX_MS
  const url = `http://127.0.0.1:${analytics.ports[0]}`
  const isLagging = async () =>
    (await fetchAnalyticsCount(url)) < verdict.delivered ||
    (await countArchivedEvents(stage)) < verdict.delivered
  while ((await isLagging()) && performance.now() < deadlineMs) await sleep(POLL_MS)
  const comparison = await compareConsumers(stage, url)
  const outcome = outcomeOf('consumers', times, verdict, [
    `${comparison.windows} windows equal the plain computation`,
    `${comparison.archived} events archived`,
    ...comparison.faults,
    ...(undelivered > 0 ? [`${undelivered} still in the outbox`] : []),
  ])
  const passed = outcome.passed && comparison.faults.length === 0
  const lost = outcome.lost + comparison.lost
  return { ...outcome, lost, countedTwice: outcome.countedTwice + comparison.countedTwice, passed }
}

async function startMembers(
  name: 'analytics' | 'archive',
  { dir, brokers, configFile }: Stage,
  { env, onProgress }: { env: NodeJS.ProcessEnv; onProgress(line: string): void },
) {
  const members: SupervisedProcess[] = []
  const ports: number[] = []
  for (let member = 0; member < MEMBERS; member++) {
    const port = await findFreePort()
    const own = {
      SLUICE_KAFKA_BROKERS: brokers.join(','),
      [`SLUICE_CONSUMERS_${name.toUpperCase()}_HTTP_PORT`]: String(port),
    }
    const options = {
      ...{ configFile, env: { ...env, ...own }, logDir: `${dir}/log-${member}` },
      // The kills are part of this rehearsal, so their lines are not shown.
      onProblem: (line: string) => {
        if (!line.includes('SIGKILL')) onProgress(line)
      },
    }
    members.push(await startSluiceProcess(name, { host: '127.0.0.1', port }, options))
    ports.push(port)
  }
  return { members, ports }
}
