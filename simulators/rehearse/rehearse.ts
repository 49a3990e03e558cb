import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KafkaProblem } from '../kafka/java.ts'
import { type LocalKafka, startLocalKafka } from '../kafka/local-kafka.ts'
import { longRehearsals, type RehearsalContext, rehearsals } from './catalogue.ts'
import type { RehearsalOutcome, SkippedRehearsal } from './stage/outcome.ts'

export type RehearseOptions = Omit<RehearsalContext, 'kafka'> & { faults: readonly string[] }

/**
 * Runs rehearsals, each with its own gateway, bridge and simulated devices; all share one local
 * Kafka in a temporary folder. Returns one row for each fault. A rehearsal that needs Java or a C
 * compiler is skipped on a machine without it, and its row says why.
 */
export async function rehearse(
  options: RehearseOptions,
): Promise<(RehearsalOutcome | SkippedRehearsal)[]> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-rehearsal-'))
  try {
    await using stack = new AsyncDisposableStack()
    const { cacheDir, onProgress } = options
    const start = async () =>
      stack.use(await startLocalKafka({ dir, port: 0, cacheDir, onProgress }))
    let started: Promise<LocalKafka> | undefined
    const kafka = () => {
      started ??= start()
      return started
    }
    const rows: (RehearsalOutcome | SkippedRehearsal)[] = []
    for (const fault of options.faults) {
      onProgress(`rehearsing ${fault}`)
      rows.push(await rowOf(fault, { ...options, kafka }))
    }
    return rows
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function rowOf(
  fault: string,
  context: RehearsalContext,
): Promise<RehearsalOutcome | SkippedRehearsal> {
  try {
    return await { ...rehearsals, ...longRehearsals }[fault]!(context)
  } catch (error) {
    if (error instanceof KafkaProblem) return { fault, skipped: error.message }
    throw error
  }
}
