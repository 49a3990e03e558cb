import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Disk } from './disk.ts'
import { PART } from './place.ts'

/** The line that a commit is about to be, and the files that it brings before it is one. */
export type Intent = { number: number; files: string[] }

const FILE = 'intent.json'

/** Says durably what a commit is about to bring. */
export async function writeIntent(disk: Disk, folder: string, intent: Intent): Promise<void> {
  await disk.write(join(folder, FILE), Buffer.from(JSON.stringify(intent)))
  await disk.syncFolder(folder)
}

/** What the last commit was about to bring; null for none, or when it broke off at saying so. */
export async function readIntent(folder: string): Promise<Intent | null> {
  try {
    return JSON.parse(await readFile(join(folder, FILE), 'utf8'))
  } catch {
    return null
  }
}

/** The paths of what an intent may have left in an archive. */
export const leftBy = ({ files }: Intent, dir: string): string[] =>
  files.flatMap(name => [join(dir, name), join(dir, name) + PART])
