import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startLocalKafka } from '../../simulators/kafka/local-kafka.ts'
import { cacheDir, missing } from './java.ts'

declare module 'vitest' {
  interface ProvidedContext {
    brokers: string[]
  }
}

/**
 * Starts the one Kafka that all files share, if any file of this run asks for it, and gives what
 * ends it. Its data is gone afterwards.
 */
export default async function startSharedKafka(project: TestProject) {
  project.provide('brokers', [])
  if (missing !== null || !(await isAskedFor(project))) return
  const dir = await mkdtemp(join(tmpdir(), 'sluice-test-kafka-'))
  const onProgress = (line: string) => process.stderr.write(`${line}\n`)
  try {
    const kafka = await startLocalKafka({ dir, port: 0, cacheDir, onProgress })
    project.provide('brokers', kafka.brokers)
    return async () => {
      await kafka.stop()
      await rm(dir, { recursive: true, force: true })
    }
  } catch (error) {
    await rm(dir, { recursive: true, force: true })
    throw error
  }
}

// A broker takes seconds to start, which a run of one small file should not pay for.
async function isAskedFor(project: TestProject): Promise<boolean> {
  const { filenamePattern } = project.vitest as { filenamePattern?: string[] }
  const { testFiles } = await project.globTestFiles(filenamePattern)
  const texts = await Promise.all(testFiles.map(file => readFile(file, 'utf8')))
  return texts.some(text => text.includes('/setup/kafka.ts'))
}
