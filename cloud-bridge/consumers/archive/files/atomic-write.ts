import { basename, dirname, join } from 'node:path'
import type { DurableFilesystem } from './durable-filesystem.ts'

/** Where a file is written before it is whole: Hive, Spark and pyarrow look over such a name. */
export const temporaryPathOf = (path: string): string =>
  join(dirname(path), `_${basename(path)}.part`)

/**
 * Writes a file aside and gives it its name when it is whole; durable when its folder is synced.
 */
export async function writeAtomically(
  disk: DurableFilesystem,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  await disk.write(temporaryPathOf(path), bytes)
  await disk.rename(temporaryPathOf(path), path)
}
