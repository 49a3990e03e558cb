import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryPathOf } from './files/atomic-write.ts'
import type { DurableFilesystem } from './files/durable-filesystem.ts'

/**
 * The next change of the archive, written before the change starts; the manifest line follows the
 * change. An intent is JSON on disk, so the names of the fields must not change.
 */
export type Intent = {
  /** The number of the manifest line that follows the change. */
  number: number
  /** The files that a commit is about to add. */
  files: string[]
  /** The files committed before this day are about to be deleted. */
  keptFrom?: string
}

const FILE = 'intent.json'

/** Writes an intent durably. */
export async function writeIntent(
  disk: DurableFilesystem,
  folder: string,
  intent: Intent,
): Promise<void> {
  await disk.write(join(folder, FILE), Buffer.from(JSON.stringify(intent)))
  await disk.syncFolder(folder)
}

/** Reads the last intent; null when there is none, or when its write was interrupted. */
export async function readIntent(folder: string): Promise<Intent | null> {
  try {
    return JSON.parse(await readFile(join(folder, FILE), 'utf8'))
  } catch {
    return null
  }
}

/** The paths of all files that an interrupted commit may have left, temporary files included. */
export const pathsOfIntent = ({ files }: Intent, dir: string): string[] =>
  files.flatMap(name => [join(dir, name), temporaryPathOf(join(dir, name))])
