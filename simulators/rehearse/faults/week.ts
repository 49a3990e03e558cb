import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LocalKafka } from '../../kafka/local-kafka.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const GROWTH_MAX_MB = 20
const POLL_MS = 1000
const WARM_UP_MS = 20_000
const names = ['gateway', 'bridge'] as const

export type WeekOptions = {
  /** The number of readings to acknowledge while there is no Kafka. */
  events: number
  /** The number of kills of gateway and bridge during the outage. */
  restarts: number
  onProgress(line: string): void
}

/**
 * Simulates a week without Kafka in less than a week: as many readings as a gateway receives in a
 * week, with restarts, and then Kafka again. Memory must not grow with the backlog.
 */
export async function rehearseWeek(
  stage: Stage,
  kafka: LocalKafka,
  { events, restarts, onProgress }: WeekOptions,
): Promise<RehearsalOutcome> {
  const { devices } = stage
  await devices.run(2000)
  await kafka.kill()
  const memory = createMemoryWatch(stage)
  const running = new AbortController()
  const run = devices.run(running.signal)
  const killEvery = events / (restarts + 1)
  for (let next = killEvery, killed = 0; devices.counters().acknowledged < events; ) {
    await sleep(POLL_MS)
    memory.sample()
    if (devices.counters().acknowledged < next || killed === restarts) continue
    onProgress(`week: ${devices.counters().acknowledged} acknowledged`)
    next += killEvery
    memory.reset()
    stage[names[killed++ % 2]!].kill('SIGKILL')
  }
  running.abort()
  await run
  memory.reset()
  const startMs = performance.now()
  await kafka.restart()
  const undelivered = await stage.drain()
  const seconds = (performance.now() - startMs) / 1000
  memory.sample()
  const remarks = [
    `memory grew by ${memory.growthMb} MB`,
    `drained at ${Math.round(devices.counters().acknowledged / seconds)}/s`,
    `${restarts} restarts`,
    ...(undelivered > 0 ? [`${undelivered} still in the outbox`] : []),
  ]
  onProgress('week: reading all topics from Kafka')
  const outcome = outcomeOf('week', 1, await stage.judge(), remarks)
  return { ...outcome, passed: outcome.passed && memory.growthMb < GROWTH_MAX_MB }
}

/**
 * Measures how far the resident memory of gateway and bridge rises above its value after the
 * warm-up.
 */
function createMemoryWatch(stage: Stage) {
  const baselines = new Map<string, { sinceMs: number; megabytes: number | null }>()
  let growth = 0
  const sampleProcess = (name: (typeof names)[number]) => {
    const { pid } = stage[name]
    const baseline = baselines.get(name) ?? { sinceMs: performance.now(), megabytes: null }
    baselines.set(name, baseline)
    const now = pid === null ? null : residentMb(pid)
    if (now === null || performance.now() - baseline.sinceMs < WARM_UP_MS) return
    baseline.megabytes ??= now
    growth = Math.max(growth, now - baseline.megabytes)
  }
  return {
    sample: () => names.forEach(sampleProcess),
    /**
     * Measures a new baseline. To be called when a process was restarted, or when its work changed.
     */
    reset: () => baselines.clear(),
    get growthMb() {
      return Math.round(growth)
    },
  }
}

/** The resident memory of a process in MB; null without /proc, or when the process has ended. */
function residentMb(pid: number): number | null {
  try {
    const [, kibibytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return kibibytes === undefined ? null : (Number(kibibytes) * 1024) / 1e6
  } catch {
    return null
  }
}
