import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { describeJavaProblem } from '../../../simulators/kafka/jars.ts'
import { KafkaProblem } from '../../../simulators/kafka/java.ts'
import { startLocalKafka } from '../../../simulators/kafka/local-kafka.ts'
import { isSetupImported } from '../setup-imports.ts'
import { cacheDir } from './java.ts'
import { waitForProducerIds } from './producer-ids.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The brokers of the shared Kafka; empty when no test file of this run needs it. */
    brokers: string[]
    /** Why Kafka cannot run here, or null. */
    missing: string | null
  }
}

/**
 * Starts the one Kafka that all test files share, if a file of this run needs it. Returns the
 * teardown, which stops Kafka and deletes its data.
 */
export default async function startSharedKafka(project: TestProject) {
  await using stack = new AsyncDisposableStack()
  const missing = await describeJavaProblem({ cacheDir })
  project.provide('brokers', [])
  project.provide('missing', missing)
  if (missing !== null || !(await isSetupImported(project, '/setup/kafka/kafka.ts'))) return
  const dir = await mkdtemp(join(tmpdir(), 'sluice-test-kafka-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const onProgress = (line: string) => process.stderr.write(`${line}\n`)
  try {
    const kafka = stack.use(await startLocalKafka({ dir, port: 0, cacheDir, onProgress }))
    await waitForProducerIds(kafka.brokers)
    project.provide('brokers', kafka.brokers)
  } catch (error) {
    if (!(error instanceof KafkaProblem)) throw error
    project.provide('missing', error.message)
  }
  const all = stack.move()
  return () => all.disposeAsync()
}
