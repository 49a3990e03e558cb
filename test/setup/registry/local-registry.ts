import type { TestProject } from 'vitest/node'
import { describeJavaProblem } from '../../../simulators/kafka/jars.ts'
import { KafkaProblem } from '../../../simulators/kafka/java.ts'
import { cacheDir } from '../kafka/java.ts'
import { isSetupImported } from '../setup-imports.ts'
import { apicurio, startRegistry } from './apicurio.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The URL of the shared schema registry; null when no test file of this run needs it. */
    registryUrl: string | null
    /** Why a registry cannot run here, or null. */
    registryMissing: string | null
  }
}

/** Starts the one schema registry that all test files share, if a file of this run needs it. */
export default async function startSharedRegistry(project: TestProject) {
  const missing = await describeJavaProblem({ cacheDir }, apicurio)
  project.provide('registryUrl', null)
  project.provide('registryMissing', missing)
  if (missing !== null || !(await isSetupImported(project, '/setup/registry/registry.ts'))) return
  try {
    const onProgress = (line: string) => process.stderr.write(`${line}\n`)
    const registry = await startRegistry({ cacheDir, onProgress })
    project.provide('registryUrl', registry.url)
    return () => registry[Symbol.asyncDispose]()
  } catch (error) {
    if (!(error instanceof KafkaProblem)) throw error
    project.provide('registryMissing', error.message)
  }
}
