import { readFile } from 'node:fs/promises'
import type { TestProject } from 'vitest/node'

/** Whether a test file of this run imports a setup: a slow setup starts only when needed. */
export async function isSetupImported(project: TestProject, setup: string): Promise<boolean> {
  const { filenamePattern } = project.vitest as { filenamePattern?: string[] }
  const { testFiles } = await project.globTestFiles(filenamePattern)
  const texts = await Promise.all(testFiles.map(file => readFile(file, 'utf8')))
  return texts.some(text => text.includes(setup))
}
