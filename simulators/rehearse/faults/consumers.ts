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

const EVERY_MS = 3000
const MEMBERS = 2
const CAUGHT_UP_MS = 60_000
const LOOK_EVERY_MS = 500

/**
 * Kills members of analytics and archive, two of each, with SIGKILL every three seconds while
 * devices publish, so that their groups are shared out anew all the time. Then a plain computation
 * over what stands in Kafka must come to the same as analytics, and the archive must have each
 * event once.
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
  for (const one of members) stack.use(one)
  const running = new AbortController()
  const run = stage.devices.run(running.signal)
  for (let kill = 1; kill <= times; kill++) {
    await sleep(EVERY_MS)
    members[Math.floor(random() * members.length)]!.kill('SIGKILL')
    if (kill % 10 === 0) onProgress(`consumers: ${kill} of ${times}`)
  }
  running.abort()
  await run
  const left = await stage.drain()
  const verdict = await stage.judge()
  const untilMs = performance.now() + CAUGHT_UP_MS
  const url = `http://127.0.0.1:${analytics.ports[0]}`
  const isBehind = async () =>
    (await fetchAnalyticsCount(url)) < verdict.delivered ||
    (await countArchivedEvents(stage)) < verdict.delivered
  while ((await isBehind()) && performance.now() < untilMs) await sleep(LOOK_EVERY_MS)
  const found = await compareConsumers(stage, url)
  const outcome = outcomeOf('consumers', times, verdict, [
    `${found.windows} windows as computed plainly`,
    `${found.archived} events archived`,
    ...found.faults,
    ...(left > 0 ? [`${left} still in the outbox`] : []),
  ])
  const passed = outcome.passed && found.faults.length === 0
  const lost = outcome.lost + found.lost
  return { ...outcome, lost, countedTwice: outcome.countedTwice + found.countedTwice, passed }
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
      // That a member ended is what this is about.
      onProblem: (line: string) => {
        if (!line.includes('SIGKILL')) onProgress(line)
      },
    }
    members.push(await startSluiceProcess(name, { host: '127.0.0.1', port }, options))
    ports.push(port)
  }
  return { members, ports }
}
