import { rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DurableFilesystem } from './files/durable-filesystem.ts'
import { readLines } from './manifest/day-files.ts'

/**
 * Removes the files that were committed on some days, and gives how many there were. What one that
 * broke off has removed before counts as well.
 */
export async function deleteFilesOfDays(
  { dir, folder, disk }: { dir: string; folder: string; disk: DurableFilesystem },
  days: readonly string[],
): Promise<{ files: number; rows: number }> {
  const removed = { files: 0, rows: 0 }
  for (const day of days) {
    for (const { line } of await readLines(folder, day)) {
      if (line?.kind !== 'commit') continue
      for (const { name, rows } of line.files) {
        await disk.remove(join(dir, name))
        await removeIfEmpty(dirname(join(dir, name)))
        removed.files++
        removed.rows += rows
      }
    }
  }
  return removed
}

/** A folder of a zone, and that of its date. */
async function removeIfEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder)
    await rmdir(dirname(folder))
  } catch {
    // Others are in it.
  }
}
