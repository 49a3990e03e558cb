import { existsSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DurableFilesystem } from './files/durable-filesystem.ts'
import type { NamedFile } from './manifest/hash-chain.ts'

/**
 * Removes files of the archive, durably. Files that an interrupted change has removed before are no
 * fault.
 */
export async function removeFiles(
  { dir, disk }: { dir: string; disk: DurableFilesystem },
  names: readonly string[],
): Promise<void> {
  const folders = new Set<string>()
  for (const name of names) {
    await disk.remove(join(dir, name))
    folders.add(await removeIfEmpty(dirname(join(dir, name))))
  }
  for (const folder of folders) if (existsSync(folder)) await disk.syncFolder(folder)
}

/** The named files that were committed before a day, and the number of their events (`rows`). */
export function filesBefore(named: Iterable<NamedFile>, day: string) {
  const files = [...named].filter(file => file.day < day)
  return { files, rows: files.reduce((sum, { rows }) => sum + rows, 0) }
}

/**
 * Removes the folder of a zone and the folder of its date, if they are empty. Resolves with the
 * first folder that stays.
 */
async function removeIfEmpty(zoneFolder: string): Promise<string> {
  let folder = zoneFolder
  try {
    await rmdir(folder)
    folder = dirname(folder)
    await rmdir(folder)
    folder = dirname(folder)
  } catch {
    // The folder has other files, or is removed already.
  }
  return folder
}
