import { rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DurableFilesystem } from './files/durable-filesystem.ts'
import { readLines } from './manifest/day-files.ts'

/**
 * Deletes the files that were committed on the given days. Resolves with the number of these files
 * and of their events (`rows`). Files that an interrupted deletion has removed before count too.
 */
export async function deleteFilesOfDays(
  { dir, folder, disk }: { dir: string; folder: string; disk: DurableFilesystem },
  days: readonly string[],
): Promise<{ files: number; rows: number }> {
  const deleted = { files: 0, rows: 0 }
  for (const day of days) {
    for (const { line } of await readLines(folder, day)) {
      if (line?.kind !== 'commit') continue
      for (const { name, rows } of line.files) {
        await disk.remove(join(dir, name))
        await removeIfEmpty(dirname(join(dir, name)))
        deleted.files++
        deleted.rows += rows
      }
    }
  }
  return deleted
}

/** Removes the folder of a zone and the folder of its date, if they are empty. */
async function removeIfEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder)
    await rmdir(dirname(folder))
  } catch {
    // The folder has other files.
  }
}
