import { rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Disk } from './disk.ts'
import { daysOf, linesOf } from './manifest.ts'

/**
 * Removes the files that were committed from one day on and before another, and gives how many
 * there were; null when there is no such day in the manifest. Whatever was removed before, by a
 * go that broke off, counts as well.
 */
export async function removeCommitted(
  { dir, folder, disk }: { dir: string; folder: string; disk: Disk },
  from: string | null,
  before: string,
): Promise<{ files: number; rows: number } | null> {
  const days = (await daysOf(folder)).filter(day => day >= (from ?? '') && day < before)
  const removed = { files: 0, rows: 0 }
  for (const day of days) {
    for (const { line } of await linesOf(folder, day)) {
      if (line?.kind !== 'commit') continue
      for (const { name, rows } of line.files) {
        await disk.remove(join(dir, name))
        await removeIfEmpty(dirname(join(dir, name)))
        removed.files++
        removed.rows += rows
      }
    }
  }
  return days.length > 0 ? removed : null
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
