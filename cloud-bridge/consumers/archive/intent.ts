import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryPathOf } from './files/atomic-write.ts'
import type { DurableFilesystem } from './files/durable-filesystem.ts'

/** What is about to be done before the line that says that it was. */
export type Intent = {
  /** Of that line. */
  number: number
  /** The files that a commit brings. */
  files: string[]
  /** The files of which days are let go: of those before this one. */
  keptFrom?: string
}

const FILE = 'intent.json'

/** Says durably what is about to be done. */
export async function writeIntent(
  disk: DurableFilesystem,
  folder: string,
  intent: Intent,
): Promise<void> {
  await disk.write(join(folder, FILE), Buffer.from(JSON.stringify(intent)))
  await disk.syncFolder(folder)
}

/** What was about to be done last; null for nothing, or when that broke off at saying so. */
export async function readIntent(folder: string): Promise<Intent | null> {
  try {
    return JSON.parse(await readFile(join(folder, FILE), 'utf8'))
  } catch {
    return null
  }
}

/** The paths of what an intent may have left in an archive. */
export const pathsOfIntent = ({ files }: Intent, dir: string): string[] =>
  files.flatMap(name => [join(dir, name), temporaryPathOf(join(dir, name))])
