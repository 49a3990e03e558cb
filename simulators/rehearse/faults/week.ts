import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LocalKafka } from '../../kafka/local-kafka.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const GROWTH_MAX_MB = 20
const LOOK_EVERY_MS = 1000
const SETTLED_AFTER_MS = 20_000
const names = ['gateway', 'bridge'] as const

export type WeekOptions = {
  /** How many readings are to be acknowledged while there is no Kafka. */
  events: number
  /** How often gateway and bridge are killed meanwhile. */
  restarts: number
  onProgress(line: string): void
}

/**
 * A week without Kafka in less time: as many readings as come in a week, restarts among them, and
 * then Kafka again. Memory must not grow with what waits.
 */
export async function rehearseWeek(
  stage: Stage,
  kafka: LocalKafka,
  { events, restarts, onProgress }: WeekOptions,
): Promise<RehearsalOutcome> {
  const { devices } = stage
  await devices.run(2000)
  await kafka.kill()
  const memory = startMemory(stage)
  const running = new AbortController()
  const run = devices.run(running.signal)
  const every = events / (restarts + 1)
  for (let next = every, killed = 0; devices.counters().acknowledged < events; ) {
    await sleep(LOOK_EVERY_MS)
    memory.look()
    if (devices.counters().acknowledged < next || killed === restarts) continue
    onProgress(`week: ${devices.counters().acknowledged} acknowledged`)
    next += every
    memory.forget()
    stage[names[killed++ % 2]!].kill('SIGKILL')
  }
  running.abort()
  await run
  memory.forget()
  const sinceMs = performance.now()
  await kafka.restart()
  const left = await stage.drain()
  const seconds = (performance.now() - sinceMs) / 1000
  memory.look()
  const remarks = [
    `memory grew by ${memory.growthMb} MB`,
    `drained at ${Math.round(devices.counters().acknowledged / seconds)}/s`,
    `${restarts} restarts`,
    ...(left > 0 ? [`${left} still in the outbox`] : []),
  ]
  onProgress('week: reading Kafka afresh')
  const outcome = outcomeOf('week', 1, await stage.judge(), remarks)
  return { ...outcome, passed: outcome.passed && memory.growthMb < GROWTH_MAX_MB }
}

/** How far the resident memory of a process went above what it was when it had settled. */
function startMemory(stage: Stage) {
  const settled = new Map<string, { sinceMs: number; megabytes: number | null }>()
  let growth = 0
  const lookAt = (name: (typeof names)[number]) => {
    const { pid } = stage[name]
    const known = settled.get(name) ?? { sinceMs: performance.now(), megabytes: null }
    settled.set(name, known)
    const now = pid === null ? null : residentMb(pid)
    if (now === null || performance.now() - known.sinceMs < SETTLED_AFTER_MS) return
    known.megabytes ??= now
    growth = Math.max(growth, now - known.megabytes)
  }
  return {
    look: () => names.forEach(lookAt),
    /** A process began anew, or its work did. */
    forget: () => settled.clear(),
    get growthMb() {
      return Math.round(growth)
    },
  }
}

/** Null where there is no /proc, or no such process any more. */
function residentMb(pid: number): number | null {
  try {
    const [, kibibytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return kibibytes === undefined ? null : (Number(kibibytes) * 1024) / 1e6
  } catch {
    return null
  }
}
